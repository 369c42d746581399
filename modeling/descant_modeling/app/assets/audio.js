// Sound in the browser: a simple synthesizer for the melody, and a mixer for the takes.

import { sentenceOf } from "./parts.js";
import { t } from "./texts.js";

let shared = null;

export function audioContext() {
  shared ??= new AudioContext();
  if (shared.state === "suspended") shared.resume();
  return shared;
}

// A tone of the synthesizer, like a soft organ pipe.
export function tone(pitch, start, seconds, target = audioContext().destination, loudness = 0.16) {
  const context = audioContext();
  const gain = new GainNode(context, { gain: 0 });
  const end = start + Math.max(seconds, 0.08);
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(loudness, start + 0.02);
  gain.gain.setValueAtTime(loudness, end - 0.03);
  gain.gain.linearRampToValueAtTime(0, end + 0.06);
  const frequency = 440 * 2 ** ((pitch - 69) / 12);
  const pipes = [[1, "triangle"], [2, "sine"]].map(([times, type]) => {
    const pipe = new OscillatorNode(context, { type, frequency: frequency * times });
    const share = new GainNode(context, { gain: times === 1 ? 1 : 0.25 });
    pipe.connect(share).connect(gain);
    pipe.start(start);
    pipe.stop(end + 0.1);
    return pipe;
  });
  gain.connect(target);
  const release = () => {
    const now = context.currentTime;
    gain.gain.cancelScheduledValues(now);
    gain.gain.setTargetAtTime(0, now, 0.04);
    pipes.forEach((pipe) => pipe.stop(now + 0.3));
  };
  return { stop: () => pipes.forEach((pipe) => pipe.stop()), release };
}

// A click of the metronome.
export function click(at, isFirst) {
  const context = audioContext();
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(isFirst ? 0.25 : 0.12, Math.max(at, 0));
  gain.gain.exponentialRampToValueAtTime(0.001, Math.max(at, 0) + 0.05);
  const pipe = new OscillatorNode(context, { type: "square", frequency: isFirst ? 1600 : 1100 });
  pipe.connect(gain).connect(context.destination);
  pipe.start(Math.max(at, 0));
  pipe.stop(Math.max(at, 0) + 0.06);
}

const AHEAD_SECONDS = 1;

// Plays one take: an audio track for each voice, each with its own volume.
export class Mixer {
  constructor(onend) {
    this.onend = onend;
    this.playing = false;
    this.muted = new Set();
    this.volume = 1;
    this.tempo = 1; // 1 is that of the take
    this.position = 0;
    this.remark = "";
    this.buffers = null;
  }

  // `voices` are names; `notes` are [voice index, start, end, pitch] in seconds of the take; `address` gives a voice's
  // sound at a tempo.
  load(voices, notes, seconds, address) {
    this.stop();
    Object.assign(this, { voices, notes, seconds, address, buffers: null, position: 0 });
  }

  get now() {
    return this.playing ? Math.max(audioContext().currentTime - this.began, 0) * this.tempo : this.position;
  }

  async play() {
    const context = audioContext();
    const { address, tempo } = this;
    this.buffers ??= await this.fetchAll(context);
    if (this.playing || address !== this.address || tempo !== this.tempo) return; // another one was chosen in the meantime
    if (this.position >= this.seconds - 0.05) this.position = 0;
    const start = context.currentTime + 0.05;
    this.began = start - this.position / tempo;
    this.master = new GainNode(context, { gain: this.volume });
    this.analyser = new AnalyserNode(context, { fftSize: 2048 });
    this.master.connect(this.analyser).connect(context.destination);
    this.gains = this.voices.map((name, index) => {
      const spread = this.voices.length > 1 ? index / (this.voices.length - 1) - 0.5 : 0;
      const gain = new GainNode(context, { gain: this.muted.has(name) ? 0 : 1 });
      gain.connect(new StereoPannerNode(context, { pan: spread * 0.6 })).connect(this.master);
      return gain;
    });
    if (this.buffers.length) {
      this.sources = this.buffers.map((buffer, index) => {
        const source = new AudioBufferSourceNode(context, { buffer });
        source.connect(this.gains[index]);
        source.start(start, this.position / tempo);
        return source;
      });
    } else {
      this.sources = [];
      this.scheduled = this.position - 1e-6;
      this.schedule();
    }
    this.playing = true;
    this.timer = setInterval(() => this.tick(), 200);
  }

  tick() {
    if (!this.buffers.length) this.schedule();
    if (this.now >= this.seconds) {
      this.stop();
      this.position = 0;
      this.onend();
    }
  }

  // Schedule the notes that begin within the next second on the synthesizer.
  schedule() {
    const until = (audioContext().currentTime - this.began + AHEAD_SECONDS) * this.tempo;
    for (const [voice, start, end, pitch] of this.notes) {
      if (start > this.scheduled && start <= until) {
        this.sources.push(tone(pitch, this.began + start / this.tempo, (end - start) / this.tempo, this.gains[voice]));
      }
    }
    this.scheduled = Math.max(until, this.scheduled);
  }

  pause() {
    const at = this.now;
    this.stop();
    this.position = at;
  }

  stop() {
    clearInterval(this.timer);
    if (this.playing) {
      this.sources.forEach((source) => source.stop());
      this.master.disconnect();
    }
    this.playing = false;
  }

  async seek(seconds) {
    const wasPlaying = this.playing;
    this.stop();
    this.position = Math.min(Math.max(seconds, 0), this.seconds);
    if (wasPlaying) await this.play();
  }

  mute(name, isMuted) {
    this.muted[isMuted ? "add" : "delete"](name);
    const index = this.voices.indexOf(name);
    if (this.playing && index >= 0) this.gains[index].gain.setTargetAtTime(isMuted ? 0 : 1, audioContext().currentTime, 0.02);
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.playing) this.master.gain.setTargetAtTime(volume, audioContext().currentTime, 0.02);
  }

  async setTempo(tempo) {
    const at = this.now;
    const wasPlaying = this.playing;
    this.stop();
    Object.assign(this, { tempo, buffers: null, position: at });
    if (wasPlaying) await this.play();
  }

  // Current loudness: root mean square of the last samples, 0-1.
  level() {
    if (!this.playing) return 0;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
  }

  // Fetch the sound of every voice; none if the server has no synthesizer, so that ours plays.
  async fetchAll(context) {
    this.remark = "";
    try {
      return await Promise.all(
        this.voices.map(async (name) => {
          const response = await fetch(this.address(name, this.tempo));
          if (!response.ok) throw new Error(await sentenceOf(response));
          return context.decodeAudioData(await response.arrayBuffer());
        }),
      );
    } catch (error) {
      this.remark = t`A plain tone plays instead of voices: ${error.message}`;
      return [];
    }
  }
}
