// Reads excerpts from the open score and writes into it; see descant.js for what an excerpt is.
.import "descant.js" as Descant

var SELECTION_START = 1, SELECTION_END = 2; // for Cursor.rewind

// Return the selected bars, or all, of some voices; their places are {staff, voice}.
function read(plugin, places) {
    var score = plugin.curScore, range = selected(score), bars = barsOf(score, range), voices = {};
    var start = bars[0].tick, end = bars[bars.length - 1].tick + bars[bars.length - 1].length;
    for (var name in places) {
        voices[name] = notesOf(score, places[name], start, end).map(function (note) {
            note.tick -= start;
            return note;
        });
    }
    bars.forEach(function (bar) { bar.tick -= start; });
    var signature = cursorAt(score, {staff: 0, voice: 0}, start).keySignature || 0;
    return {start: start, keySignature: signature, bars: bars, voices: voices};
}

// Return where four voices are: on the first four staves, or two each on two.
function fourPlaces(score) {
    if (score.nstaves >= 4) return placesOf([[0, 0], [1, 0], [2, 0], [3, 0]]);
    if (score.nstaves === 2) return placesOf([[0, 0], [0, 1], [1, 0], [1, 1]]);
    return null;
}

function placesOf(pairs) {
    var places = {};
    Descant.VOICES.forEach(function (name, index) {
        places[name] = {staff: pairs[index][0], voice: pairs[index][1]};
    });
    return places;
}

// Write notes at a place; `start` is where their ticks count from, the beginning of a bar.
function write(plugin, place, notes, start) {
    var cursor = cursorAt(plugin.curScore, place, start), now = 0, gaps = [];
    function add(length, pitch) {
        Descant.fractions(length).forEach(function (fraction) {
            cursor.setDuration(fraction[0], fraction[1]);
            cursor.addNote(pitch);
        });
        now += length;
    }
    notes.forEach(function (note) {
        if (note.tick > now) { // written, then taken away: not every MuseScore can write a rest
            gaps.push({start: start + now, end: start + note.tick});
            add(note.tick - now, note.pitch);
        }
        add(note.length, note.pitch);
    });
    gaps.forEach(function (gap) {
        elementsOf(plugin.curScore, place, gap.start, gap.end).forEach(function (each) {
            plugin.removeElement(each.element);
        });
    });
}

// Color the notes of a fault, and put a text above the uppermost of its voices.
function mark(plugin, places, fault, start, text) {
    var from = start + fault.tick, to = Math.max(start + fault.end, from + 1);
    fault.voices.forEach(function (name, index) {
        var all = elementsOf(plugin.curScore, places[name], 0, to);
        var sounding = all.filter(function (each) { return each.tick + each.length > from; });
        var before = fault.isMotion ? all.slice(0, all.length - sounding.length).slice(-1) : [];
        before.concat(sounding).forEach(color);
        if (index > 0 || !sounding.length) return;
        cursorAt(plugin.curScore, places[name], sounding[0].tick, places[name].voice).add(text);
    });
}

function color(each) {
    for (var i = 0; isChord(each) && i < each.element.notes.length; i++) each.element.notes[i].color = Descant.RED;
}

function isChord(each) { return each.element.name === "Chord"; }

// Return the chords and rests of a voice that begin in a range: [{tick, length, element, segment}].
function elementsOf(score, place, start, end) {
    var cursor = score.newCursor(), found = [];
    cursor.rewind(0);
    cursor.staffIdx = place.staff;
    cursor.voice = place.voice;
    cursor.rewind(0);
    for (; cursor.segment; cursor.next()) {
        var tick = cursor.tick, element = cursor.element, last = found[found.length - 1];
        if (last) last.length = Math.min(last.length, tick - last.tick); // in a tuplet, the written length is longer
        if (tick >= end) break;
        if (tick >= start && element) {
            var length = 4 * Descant.QUARTER * element.duration.numerator / element.duration.denominator;
            found.push({tick: tick, length: Math.min(length, end - tick), element: element, segment: cursor.segment});
        }
    }
    return found;
}

// Return the first and the last tick of the selection, or null.
function selected(score) {
    var cursor = score.newCursor();
    if (!score.selection || !score.selection.elements.length) return null;
    cursor.rewind(SELECTION_START);
    if (!cursor.segment) return null;
    var start = cursor.tick;
    cursor.rewind(SELECTION_END);
    return {start: start, end: cursor.segment && cursor.tick > start ? cursor.tick : Infinity};
}

// Return the bars that a range touches, or all.
function barsOf(score, range) {
    var bars = [];
    for (var bar = score.firstMeasure; bar; bar = bar.nextMeasure) {
        var tick = bar.firstSegment.tick, end = bar.lastSegment.tick, meter = bar.timesigNominal || bar.timesigActual;
        if (!range || (tick < range.end && end > range.start)) {
            bars.push({tick: tick, length: end - tick, numerator: meter.numerator, denominator: meter.denominator});
        }
    }
    return bars;
}

function notesOf(score, place, start, end) {
    var notes = [];
    elementsOf(score, place, start, end).filter(isChord).forEach(function (each) {
        var chord = each.element, top = chord.notes[chord.notes.length - 1], last = notes[notes.length - 1];
        var fermata = hasFermata(each.segment);
        if (top.tieBack && last && last.pitch === top.pitch && last.tick + last.length === each.tick) {
            last.length += each.length;
            last.fermata = last.fermata || fermata;
        } else {
            notes.push({tick: each.tick, length: each.length, pitch: top.pitch, tpc: top.tpc1, fermata: fermata});
        }
    });
    return notes;
}

function hasFermata(segment) {
    for (var i = 0; i < segment.annotations.length; i++) {
        if (segment.annotations[i].name === "Fermata") return true;
    }
    return false;
}

// Return a cursor where a voice has a chord or rest; by default the first one, which has one at each bar line.
function cursorAt(score, place, tick, voice) {
    var cursor = score.newCursor();
    cursor.rewind(0);
    cursor.staffIdx = place.staff;
    cursor.voice = voice || 0;
    cursor.rewind(0);
    while (cursor.segment && cursor.tick < tick) cursor.next();
    cursor.voice = place.voice;
    return cursor;
}
