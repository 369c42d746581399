// Asks `descant serve`, and tells the user what came of it.
.import "descant.js" as Descant

// Send a request; `use` takes the result and returns what to say.
function ask(plugin, settings, request, use) {
    var http = new XMLHttpRequest(), isDone = false;
    http.onreadystatechange = function () {
        if (http.readyState !== 4 || isDone) return;
        isDone = true;
        var answer = Descant.answerOf(settings, http.status, http.responseText);
        finish(plugin, answer.error || use(answer.result));
    };
    http.open("POST", request.url, !isConverting());
    for (var name in request.headers) http.setRequestHeader(name, request.headers[name]);
    http.send(request.body);
}

// Show a text, if there is one, and end the plugin.
function finish(plugin, text) {
    if (text) console.log(text);
    if (text && !isConverting()) {
        var box = "MessageDialog { title: 'Descant'; text: " + JSON.stringify(text) + "; visible: true }";
        try {
            Qt.createQmlObject("import QtQuick.Dialogs 1.1\n" + box, plugin);
            return; // the box belongs to the plugin
        } catch (error) {
            console.log("no message box: " + error);
        }
    }
    if (typeof plugin.quit === "function") plugin.quit();
    else Qt.quit();
}

// True if MuseScore runs a plugin between reading a file and writing another (`mscore -p`): that waits for nothing.
function isConverting() { return Qt.application.arguments.indexOf("-o") > 0; }
