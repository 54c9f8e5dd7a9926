// Packets of Opus to samples, by the browser's own decoder (WebCodecs).

// Packets that are being decoded, at most: half a second of 10 ms each. More is more than the browser can do.
const UNDER_WAY_MAX = 50;

export class OpusDecoder {
  /**
   * `hear(samples, sampleRate, missing)` is called for each packet in order, with one Float32Array per channel and the number of
   * chunks that were missing in front; `fail(sentence)` when nothing can be decoded.
   */
  constructor({ sampleRate, channels }, hear, fail) {
    this.config = { codec: "opus", sampleRate, numberOfChannels: channels };
    this.hear = hear;
    this.fail = fail;
    this.decoder = null;
    this.gaps = [];
    this.micros = 0;
  }

  decode(payload, missing) {
    if (typeof AudioDecoder === "undefined") {
      this.fail("This browser does not decode Opus here.");
      return;
    }
    if (this.gaps.length >= UNDER_WAY_MAX) return;
    try {
      if (this.decoder?.state !== "configured") this.#open();
      this.gaps.push(missing);
      this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this.micros, data: payload }));
      // What counts is that they go up.
      this.micros += 10_000;
    } catch {
      this.fail("What comes is no Opus that this browser decodes.");
    }
  }

  close() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
  }

  #open() {
    this.close();
    this.gaps = [];
    this.decoder = new AudioDecoder({
      output: (data) => this.#take(data),
      // It is closed then; the next packet gets a new one.
      error: () => this.fail("What comes is no Opus that this browser decodes."),
    });
    this.decoder.configure(this.config);
  }

  #take(data) {
    const samples = Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
      const channel = new Float32Array(data.numberOfFrames);
      data.copyTo(channel, { planeIndex, format: "f32-planar" });
      return channel;
    });
    const { sampleRate } = data;
    data.close();
    this.hear(samples, sampleRate, this.gaps.shift() ?? 0);
  }
}
