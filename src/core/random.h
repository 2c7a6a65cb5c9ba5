// Randomness that a test can decide. Security-relevant bytes come from crypto/random.h, never from
// here; this one is for jitter, sampling and pack assignment.
#pragma once

#include <cstdint>

namespace sevenfold {

// splitmix64 (Steele, Lea, Flood 2014): tiny, seedable, good enough for anything but secrets.
class SplitMix64 {
  public:
    explicit SplitMix64(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = (state_ += 0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
    // Uniform in [0, bound), bound > 0 (the bias below 2^-32 does not matter here).
    uint64_t below(uint64_t bound) { return next() % bound; }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  private:
    uint64_t state_;
};

}  // namespace sevenfold
