//! Words that the world is told with.

pub(super) const HEROES: &[&str] = &["mage", "ranger", "knight", "rogue", "healer", "bard"];

pub(super) const CREATURES: &[&str] = &["wolf", "boar", "golem", "wraith", "drake", "spider"];

pub(super) const ONSETS: &[&str] = &[
    "Bran", "Cas", "Dag", "El", "Fen", "Gar", "Hol", "Isa", "Jor", "Kes", "Lin", "Mer", "Ner", "Os", "Per",
    "Quin", "Row", "Sa", "Tam", "Wren",
];

pub(super) const ENDINGS: &[&str] = &[
    "dle", "win", "ric", "wen", "wick", "mund", "ara", "by", "den", "mar", "nis", "tor", "lyn", "eth", "ia",
    "o",
];

pub(super) const EPITHETS: &[&str] =
    &["grey", "old", "feral", "mire", "ashen", "cave", "frost", "blind", "rabid", "marsh", "elder", "hollow"];

pub(super) const POTION: &str = "potion";

pub(super) const ITEMS: &[&str] = &[
    POTION, POTION, "rope", "torch", "dagger", "bow", "shield", "map", "lute", "herbs", "amulet", "bread",
    "lantern", "rune", "hide", "key",
];

pub(super) const PHRASES: &[&str] = &[
    "anyone seen the ferryman?",
    "wolves at the north gate again",
    "selling two potions, cheap",
    "need one more for the mire",
    "who took my lantern",
    "thanks for the heal!",
    "brb, tea",
    "the bridge is out, go round",
    "gg",
    "drake by the old mill, careful",
    "found a rune, what does it do?",
    "meet at the well",
    "lost the map, follow me anyway",
    "that golem hits hard",
    "nice shot!",
    "low on bread, back to town",
];
