import QtQuick 2.9
import MuseScore 3.0
import "descant.js" as Descant
import "score.js" as Score
import "server.js" as Server
import "settings.js" as Settings

MuseScore {
    id: plugin
    version: "1.0"
    description: "Marks faults of voice leading in the selected bars of four voices, or in all of them."
    menuPath: "Plugins.Descant.Check voice leading"
    requiresScore: true

    Component.onCompleted: {
        if (mscoreMajorVersion >= 4) plugin.title = "Descant: check voice leading";
    }

    onRun: {
        var places = Score.fourPlaces(curScore), excerpt = places && Score.read(plugin, places);
        var problem = Descant.problemOf(excerpt);
        if (problem) {
            Server.finish(plugin, problem);
            return;
        }
        Server.ask(plugin, Settings, Descant.checkRequest(Settings, excerpt), function (result) {
            curScore.startCmd();
            Descant.marks(result, excerpt).forEach(function (fault) {
                var text = newElement(Element.STAFF_TEXT);
                text.text = fault.text;
                text.color = Descant.RED;
                Score.mark(plugin, places, fault, excerpt.start, text);
            });
            curScore.endCmd();
            return Descant.summary(result);
        });
    }
}
