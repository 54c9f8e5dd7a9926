// The audio view: level meters, a minute of level in which gaps show, and a button to listen. Sound is scheduled a small target ahead
// of the clock: what comes late is an underrun, what piles up beyond twice the target is skipped, so that listening stays live.

import { svg } from "./charts.js";
import { OpusDecoder } from "./opus.js";
import { count, hertz, make, milliseconds, quantity, setText, signed } from "./format.js";

const S16 = 1;
const F32 = 2;
const OPUS = 3;
const TARGET_S = 0.12;
const LEAD_S_MAX = 0.4;
const FLOOR_DB = -60;
const STRIP_MS = 60_000;
const STRIP_STEP_MS = 100;
// A meter falls this much per second, so that a short peak can be seen.
const FALL_DB_PER_S = 40;
const CHANNELS_MAX = 32;

export class AudioView {
  constructor(session) {
    this.session = session;
    this.meters = [];
    this.meterBox = make("div", { class: "meters" });
    this.level = svg("path", { class: "level" });
    this.gapMarks = svg("path", { class: "gaps" });
    const strip = svg("svg", { class: "strip", viewBox: "0 0 600 48", preserveAspectRatio: "none", role: "img",
      "aria-label": "Level of the last minute; vertical marks are gaps" });
    strip.append(svg("path", { class: "grid", d: "M0 24H600" }), this.level, this.gapMarks);
    this.button = make("button", { type: "button", id: "listen", "aria-pressed": "false" }, "Listen");
    this.button.addEventListener("click", () => this.#toggle());
    this.status = make("span", { class: "note", role: "status" });
    this.readings = Object.fromEntries(["format", "buffered", "missed", "underruns"].map((name) => [name, quantity()]));
    const reading = (label, element) => make("div", {}, make("dt", {}, label), make("dd", {}, element));
    this.element = make("div", { id: "audio", class: "view" },
      this.meterBox, strip,
      make("div", { class: "actions" }, this.button, this.status),
      make("dl", { class: "readings" },
        reading("format", this.readings.format.element), reading("buffered", this.readings.buffered.element),
        reading("chunks missed", this.readings.missed.element), reading("underruns", this.readings.underruns.element)));
    this.format = { sampleRate: 48_000, channels: 1 };
    this.player = null;
    this.opus = null;
    this.missed = 0;
    this.strip = [];
    this.gaps = [];
    this.step = { at: 0, peak: 0 };
    this.expected = null;
    this.painting = 0;
    this.paintedAt = performance.now();
  }

  announce({ audio }) {
    if (audio && audio.sampleRate > 0 && audio.channels > 0 && audio.channels <= CHANNELS_MAX) this.format = audio;
    const { channels, sampleRate } = this.format;
    if (this.player && this.player.asked !== sampleRate) this.#play();
    this.readings.format.set([hertz(sampleRate).join("\u2009"), channels === 1 ? "mono" : channels === 2 ? "stereo" : `${channels} ch`]);
    if (this.meters.length !== channels) {
      this.meters = Array.from({ length: channels }, (_, i) => new Meter(channels === 2 ? "LR"[i] : String(i + 1)));
      this.meterBox.replaceChildren(...this.meters.map((meter) => meter.element));
    }
    this.expected = null;
    this.opus?.close();
    this.opus = null;
  }

  gap(lost) {
    this.missed += lost;
    this.gaps.push(performance.now());
  }

  message(message) {
    const missing = this.expected === null ? 0 : (message.sequence - this.expected) >>> 0;
    this.expected = (message.sequence + 1) >>> 0;
    const gap = missing < 1000 ? missing : 0;
    if (message.codec === OPUS) {
      this.opus ??= new OpusDecoder(this.format, (...sound) => this.#hear(...sound), (sentence) => setText(this.status, sentence));
      this.opus.decode(message.payload, gap);
    } else {
      this.#hear(decode(message, this.format.channels), this.format.sampleRate, gap);
    }
    // Consumed when it is in the jitter buffer, or on its way there: what plays later is this page's own delay.
    this.session.consumed(message);
  }

  #hear(samples, sampleRate, missing) {
    if (samples.length === 0 || samples[0].length === 0) return;
    this.#measure(samples);
    this.player?.play(samples, sampleRate, missing);
    if (!this.painting && !document.hidden) this.painting = requestAnimationFrame(() => this.#paint());
  }

  tick() {
    this.readings.missed.set(count(this.missed));
    this.readings.buffered.set(this.player ? milliseconds(this.player.lead() * 1000) : ["–", ""]);
    this.readings.underruns.set(this.player ? count(this.player.underruns) : ["–", ""]);
    for (const meter of this.meters) meter.describe();
    this.#paintStrip();
  }

  close() {
    cancelAnimationFrame(this.painting);
    this.opus?.close();
    this.player?.close();
  }

  async #toggle() {
    if (this.player) {
      this.player.close();
      this.player = null;
    } else {
      await this.#play();
    }
    const on = this.player !== null;
    this.button.setAttribute("aria-pressed", String(on));
    setText(this.button, on ? "Stop listening" : "Listen");
  }

  /** Plays in the present rate, from here on. */
  async #play() {
    this.player?.close();
    const player = new Player(this.format.sampleRate);
    this.player = player;
    let sentence = "";
    try {
      await player.context.resume();
    } catch {
      sentence = "This browser did not allow sound.";
    }
    if (player === this.player) setText(this.status, sentence);
  }

  #measure(samples) {
    const now = performance.now();
    let loudest = 0;
    samples.forEach((channel, i) => {
      let peak = 0;
      let square = 0;
      for (const sample of channel) {
        const size = Math.abs(sample);
        if (size > peak) peak = size;
        square += sample * sample;
      }
      this.meters[i]?.hear(peak, Math.sqrt(square / channel.length));
      if (peak > loudest) loudest = peak;
    });
    this.step.peak = Math.max(this.step.peak, loudest);
    if (now - this.step.at < STRIP_STEP_MS) return;
    // After a silence of the topic itself the step has no beginning: what lies between stays empty.
    const from = now - this.step.at < 3 * STRIP_STEP_MS ? this.step.at : now - STRIP_STEP_MS;
    this.strip.push([now, from, this.step.peak]);
    this.step = { at: now, peak: 0 };
  }

  #paint() {
    this.painting = 0;
    const now = performance.now();
    const fall = ((now - this.paintedAt) / 1000) * FALL_DB_PER_S;
    this.paintedAt = now;
    for (const meter of this.meters) meter.paint(fall);
  }

  #paintStrip() {
    const now = performance.now();
    const from = now - STRIP_MS;
    this.strip = this.strip.filter(([at]) => at > from);
    this.gaps = this.gaps.filter((at) => at > from);
    const x = (at) => ((600 * (at - from)) / STRIP_MS).toFixed(1);
    let path = "";
    for (const [to, start, peak] of this.strip) {
      const half = Math.max(0.5, 23 * share(decibels(peak)));
      path += `M${x(start)} ${(24 - half).toFixed(1)}H${x(to)}V${(24 + half).toFixed(1)}H${x(start)}Z`;
    }
    this.level.setAttribute("d", path);
    this.gapMarks.setAttribute("d", this.gaps.map((at) => `M${x(at)} 0V48`).join(""));
  }
}

/** One channel's level, from -60 dBFS to 0: a bar for the mean, a mark for the peak. */
class Meter {
  constructor(name) {
    this.bar = make("span", { class: "bar" });
    this.mark = make("span", { class: "mark" });
    this.value = quantity();
    this.track = make("span", { class: "track", role: "meter", "aria-label": `Level ${name}`, "aria-valuemin": FLOOR_DB,
      "aria-valuemax": "0", "aria-valuenow": FLOOR_DB }, this.bar, this.mark);
    this.element = make("div", { class: "meter" }, make("span", { class: "label" }, name), this.track, this.value.element);
    this.heard = { peak: 0, mean: 0 };
    this.peak = FLOOR_DB;
    this.mean = FLOOR_DB;
    this.describe();
  }

  hear(peak, mean) {
    this.heard.peak = Math.max(this.heard.peak, peak);
    this.heard.mean = Math.max(this.heard.mean, mean);
  }

  paint(fall) {
    this.peak = Math.max(decibels(this.heard.peak), this.peak - fall / 2);
    this.mean = Math.max(decibels(this.heard.mean), this.mean - fall);
    this.heard = { peak: 0, mean: 0 };
    this.bar.style.transform = `scaleX(${share(this.mean).toFixed(4)})`;
    this.mark.style.left = `${(share(this.peak) * 100).toFixed(2)}%`;
  }

  describe() {
    const silent = this.peak <= FLOOR_DB;
    this.value.set(silent ? [`< ${signed(String(FLOOR_DB))}`, "dB"] : [signed(this.peak.toFixed(1)), "dB"]);
    this.track.setAttribute("aria-valuenow", this.peak.toFixed(0));
  }
}

/** Plays chunks one behind the other. */
class Player {
  constructor(sampleRate) {
    this.underruns = 0;
    this.next = 0;
    this.asked = sampleRate;
    try {
      this.context = new AudioContext({ sampleRate, latencyHint: "interactive" });
    } catch {
      // A rate the device can't have: the browser resamples each chunk instead.
      this.context = new AudioContext();
    }
  }

  lead() {
    return Math.max(0, this.next - this.context.currentTime);
  }

  play(channels, sampleRate, missing) {
    const { context } = this;
    if (context.state !== "running") return;
    const buffer = context.createBuffer(channels.length, channels[0].length, sampleRate);
    channels.forEach((samples, i) => buffer.copyToChannel(samples, i));
    const now = context.currentTime;
    if (this.next > 0) this.next += Math.min(missing * buffer.duration, TARGET_S);
    if (this.next < now) {
      if (this.next > 0) this.underruns += 1;
      this.next = now + TARGET_S;
    }
    if (this.next - now > LEAD_S_MAX) return;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    source.start(this.next);
    this.next += buffer.duration;
  }

  close() {
    this.context.close();
  }
}

/** Interleaved PCM as one Float32Array per channel; empty for a codec that is not PCM. A broken last sample is left out. */
function decode({ codec, payload }, channels) {
  if (codec !== S16 && codec !== F32) return [];
  const width = codec === S16 ? 2 : 4;
  const length = Math.floor(payload.length / width / channels);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const read = codec === S16 ? (at) => view.getInt16(at, true) / 32768 : (at) => clean(view.getFloat32(at, true));
  return Array.from({ length: channels }, (_, channel) => {
    const samples = new Float32Array(length);
    for (let i = 0; i < length; i++) samples[i] = read((i * channels + channel) * width);
    return samples;
  });
}

/** A publisher's NaN would silence the whole audio graph, and a huge sample hurt. */
function clean(sample) {
  return sample >= -1 && sample <= 1 ? sample : sample > 1 ? 1 : sample < -1 ? -1 : 0;
}

function decibels(amplitude) {
  return amplitude > 0 ? Math.max(FLOOR_DB, 20 * Math.log10(amplitude)) : FLOOR_DB;
}

function share(db) {
  return Math.min(1, (db - FLOOR_DB) / -FLOOR_DB);
}
