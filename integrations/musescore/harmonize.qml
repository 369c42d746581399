import QtQuick 2.9
import MuseScore 3.0
import "descant.js" as Descant
import "score.js" as Score
import "server.js" as Server
import "settings.js" as Settings

MuseScore {
    id: plugin
    version: "1.0"
    description: "Adds alto, tenor and bass to the selected bars of the top staff, or to all of them."
    menuPath: "Plugins.Descant.Harmonize"
    requiresScore: true

    Component.onCompleted: {
        if (mscoreMajorVersion >= 4) plugin.title = "Descant: harmonize";
    }

    onRun: {
        var places = Score.fourPlaces(curScore), excerpt = places && Score.read(plugin, {Soprano: places.Soprano});
        var problem = Descant.problemOf(excerpt);
        if (problem) {
            Server.finish(plugin, problem);
            return;
        }
        Server.ask(plugin, Settings, Descant.harmonizeRequest(Settings, excerpt), function (result) {
            var voices = Descant.newVoices(result);
            curScore.startCmd();
            for (var name in voices) Score.write(plugin, places[name], voices[name], excerpt.start);
            curScore.endCmd();
            return result.remarks.join("\n");
        });
    }
}
