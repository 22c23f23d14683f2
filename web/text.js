// Texts that other people chose: characters, and removal of invisible characters.

const clusters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Returns the characters of a text as a reader counts them. */
export function charactersOf(text) {
  return Array.from(clusters.segment(text), ({ segment }) => segment);
}

// The constructor, because a literal with the flag v is a syntax error in older browsers.
const EMOJI = (() => {
  try {
    return new RegExp("^\\p{RGI_Emoji}$", "v");
  } catch {
    return /^(?!)/; // without joiners, an emoji sequence shows as its parts
  }
})();
// Characters that are not shown, or change the text direction. A joiner stays after a letter or mark of a script that
// needs joiners; the server has checked the rest (UTS #39).
const INVISIBLE =
  /(?<![\p{scx=Arab}\p{scx=Syrc}\p{scx=Mong}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}\p{scx=Mymr}\p{scx=Khmr}\p{scx=Tibt}])[\u200c\u200d]|(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]/gu;

/** Removes invisible characters and those that change the text direction (spoofing), except in emoji. */
export function stripInvisible(text) {
  const shown = charactersOf(String(text ?? "")).map((one) => (EMOJI.test(one) ? one : one.replace(INVISIBLE, "")));
  return shown.join("").trim();
}
