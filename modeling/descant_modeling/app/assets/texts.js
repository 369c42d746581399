// The texts of the page in its language, by the English ones in the code; see language.py.

const answer = await fetch(new URL("../texts.json", import.meta.url));
const texts = answer.ok ? await answer.json() : {};
const known = (value) => (Object.hasOwn(texts, value) ? texts[value] : value);

// t`Mute ${name}` looks up "Mute {}", and the values too; t(name) looks up a name.
export function t(strings, ...values) {
  if (typeof strings === "string") return known(strings);
  let count = 0;
  return known(strings.join("{}")).replace(/\{(\d*)\}/g, (_, place) => known(values[place || count++]));
}
