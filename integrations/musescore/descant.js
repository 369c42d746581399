// Requests to `descant serve` and what its answers mean; nothing here knows MuseScore.
//
// An excerpt is some whole bars of a score, in ticks of 1/480 quarter from its beginning:
//   {keySignature: 1, bars: [{tick, length, numerator, denominator}], voices: {Soprano: [{tick, length, pitch, tpc,
//   fermata}]}}; `tpc` is a place in the line of fifths with C at 14, `keySignature` the number of sharps.

var VOICES = ["Soprano", "Alto", "Tenor", "Bass"];
var QUARTER = 480;
var RED = "#c00000";
// Lengths that one note can have: whole notes to 64ths, plain, dotted and double-dotted, longest first.
var LENGTHS = [];
[1920, 960, 480, 240, 120, 60, 30].forEach(function (ticks) { LENGTHS.push(ticks * 1.75, ticks * 1.5, ticks); });

// Return what is wrong with an excerpt, or nothing; there is none where the score has no staves for four voices.
function problemOf(excerpt) {
    if (!excerpt) return "The score has no staves for four voices. Give it two staves or four.";
    var empty = VOICES.filter(function (voice) { return excerpt.voices[voice] && !excerpt.voices[voice].length; });
    return empty.length ? "There are no notes here for " + empty.join(", ") + ". Select bars that have them." : "";
}

// Return a request that adds the other voices to the soprano of an excerpt.
function harmonizeRequest(settings, excerpt) {
    return request(settings, "/harmonize", {file: fileOf(excerpt), formats: []});
}

// Return a request that finds the faults of voice leading in an excerpt.
function checkRequest(settings, excerpt) {
    return request(settings, "/check", {file: fileOf(excerpt)});
}

function request(settings, path, body) {
    var headers = {"Content-Type": "application/json"};
    if (settings.token) headers.Authorization = "Bearer " + settings.token;
    return {url: settings.address + path + "?wait=true", headers: headers, body: JSON.stringify(body)};
}

// Return {result} or {error} of an answer; the status is 0 if there was none.
function answerOf(settings, status, text) {
    if (!status) return {error: "Nobody answers at " + settings.address + ". Start descant serve, or see settings.js."};
    try {
        var facts = JSON.parse(text);
    } catch (error) {
        return {error: "What answers at " + settings.address + " is not descant serve. See settings.js."};
    }
    return facts.result ? {result: facts.result} : {error: facts.error || "The job was canceled. Try again."};
}

// Return the new notes of a harmonization: {Alto: [{tick, length, pitch}], ...}, on 64ths.
function newVoices(result) {
    var sample = result.samples[0], voices = {};
    result.written.forEach(function (voice) { voices[voice] = []; });
    sample.notes.forEach(function (note) {
        if (!voices[note.voice]) return;
        var tick = rounded(note.onset_ticks * QUARTER / sample.ticks_per_quarter);
        var end = rounded((note.onset_ticks + note.duration_ticks) * QUARTER / sample.ticks_per_quarter);
        if (end > tick) voices[note.voice].push({tick: tick, length: end - tick, pitch: note.pitch});
    });
    return voices;
}

function rounded(ticks) { return 30 * Math.round(ticks / 30); }

// Split a length in ticks into fractions of a whole note that one note each can have: [[1, 4], [3, 16]].
function fractions(length) {
    var found = [];
    while (length >= 30) {
        var ticks = LENGTHS.filter(function (each) { return each <= length; })[0], shown = [ticks, 4 * QUARTER];
        while (shown[0] % 2 === 0 && shown[1] > 1) shown = [shown[0] / 2, shown[1] / 2];
        for (var prime = 3; prime <= 5; prime += 2) {
            while (shown[0] % prime === 0 && shown[1] % prime === 0) shown = [shown[0] / prime, shown[1] / prime];
        }
        found.push(shown);
        length -= ticks;
    }
    return found;
}

// Return where faults stand in an excerpt: [{tick, end, voices, text, isMotion}].
function marks(result, excerpt) {
    return result.faults.map(function (fault) {
        var letters = fault.voices.map(function (voice) { return voice[0]; });
        return {
            tick: tickOf(excerpt, fault.bar, fault.beat),
            end: tickOf(excerpt, fault.end_bar, fault.end_beat),
            voices: fault.voices,
            text: fault.name + " " + letters.join("-"),
            isMotion: fault.notes[0].length > 1
        };
    });
}

// Return one sentence about the faults of an excerpt.
function summary(result) {
    var number = result.faults.length;
    if (!number) return "No faults of voice leading.";
    return number + (number > 1 ? " faults" : " fault") + " of voice leading, marked in red. Undo takes the marks away.";
}

function tickOf(excerpt, number, beat) {
    var bar = excerpt.bars[number - (hasPickup(excerpt) ? 0 : 1)];
    var missing = number ? 0 : fullLength(bar) - bar.length;
    return bar.tick + (beat - 1) * beatTicks(bar) - missing;
}

function beatTicks(bar) {
    var isCompound = bar.denominator >= 8 && bar.numerator % 3 === 0;
    return 4 * QUARTER / Math.max(bar.denominator, 4) * (isCompound ? 3 : 1);
}

function fullLength(bar) { return 4 * QUARTER * bar.numerator / bar.denominator; }

function hasPickup(excerpt) {
    return excerpt.bars.length > 1 && excerpt.bars[0].length < fullLength(excerpt.bars[0]);
}

function fileOf(excerpt) { return {name: "selection.musicxml", text: musicXml(excerpt)}; }

// Write an excerpt as MusicXML, with one part for each voice.
function musicXml(excerpt) {
    var voices = VOICES.filter(function (voice) { return excerpt.voices[voice]; });
    var list = voices.map(function (voice) {
        return "<score-part id=\"" + voice + "\"><part-name>" + voice + "</part-name></score-part>";
    });
    var parts = voices.map(function (voice) {
        var bars = excerpt.bars.map(function (bar, index) { return measure(excerpt, index, excerpt.voices[voice]); });
        return "<part id=\"" + voice + "\">\n" + bars.join("\n") + "\n</part>";
    });
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<score-partwise version=\"4.0\">\n<part-list>" + list.join("")
        + "</part-list>\n" + parts.join("\n") + "\n</score-partwise>\n";
}

function measure(excerpt, index, notes) {
    var bar = excerpt.bars[index], before = excerpt.bars[index - 1], end = bar.tick + bar.length, now = bar.tick;
    var isPickup = index === 0 && hasPickup(excerpt), number = index + (hasPickup(excerpt) ? 0 : 1), xml = "";
    if (!before || before.numerator !== bar.numerator || before.denominator !== bar.denominator) {
        xml += "<attributes>" + (before ? "" : "<divisions>" + QUARTER + "</divisions><key><fifths>"
            + excerpt.keySignature + "</fifths></key>") + "<time><beats>" + bar.numerator + "</beats><beat-type>"
            + bar.denominator + "</beat-type></time></attributes>";
    }
    notes.forEach(function (note) {
        var from = Math.max(note.tick, bar.tick), to = Math.min(note.tick + note.length, end);
        if (from >= to) return;
        if (from > now) xml += rest(from - now);
        xml += noteElement(note, to - from, from > note.tick, to < note.tick + note.length);
        now = to;
    });
    if (now < end) xml += rest(end - now);
    return "<measure number=\"" + number + "\"" + (isPickup ? " implicit=\"yes\"" : "") + ">" + xml + "</measure>";
}

function rest(length) { return "<note><rest/><duration>" + length + "</duration></note>"; }

function noteElement(note, length, isTiedBack, isTiedOn) {
    var step = "FCGDAEB"[(note.tpc + 1) % 7], alter = Math.floor((note.tpc + 1) / 7) - 2;
    var octave = Math.floor((note.pitch - alter) / 12) - 1;
    var ties = (isTiedBack ? ["stop"] : []).concat(isTiedOn ? ["start"] : []), notations = "";
    ties.forEach(function (type) { notations += "<tied type=\"" + type + "\"/>"; });
    if (note.fermata && !isTiedOn) notations += "<fermata/>";
    return "<note><pitch><step>" + step + "</step>" + (alter ? "<alter>" + alter + "</alter>" : "") + "<octave>" + octave
        + "</octave></pitch><duration>" + length + "</duration>"
        + ties.map(function (type) { return "<tie type=\"" + type + "\"/>"; }).join("")
        + (notations ? "<notations>" + notations + "</notations>" : "") + "</note>";
}
