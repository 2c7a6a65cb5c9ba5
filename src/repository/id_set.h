// A set of ids for walks over millions of trees or packs: 16 bytes of each id in a flat table that
// is at most three quarters full, so 21 to 43 bytes an id. Ids are SHA-256 values: that two in one
// repository share their first 16 bytes is as likely as guessing an AES-128 key.
#pragma once

#include <array>
#include <cstring>
#include <vector>

#include "core/id.h"

namespace sevenfold::repository {

// One thread at a time.
class IdSet {
  public:
    // True when the id was not in the set before.
    bool insert(const Id& id) {
        if ((count_ + 1) * 4 > slots_.size() * 3) grow();
        Prefix prefix = prefix_of(id);
        size_t at = find_slot(prefix);
        if (slots_[at] == prefix) return false;
        slots_[at] = prefix;
        ++count_;
        return true;
    }
    bool contains(const Id& id) const {
        if (slots_.empty()) return false;
        Prefix prefix = prefix_of(id);
        return slots_[find_slot(prefix)] == prefix;
    }
    size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }

  private:
    using Prefix = std::array<uint64_t, 2>;  // zero: an empty slot

    static Prefix prefix_of(const Id& id) {
        Prefix out;
        std::memcpy(out.data(), id.bytes.data(), sizeof out);
        if (out == Prefix{}) out[1] = 1;
        return out;
    }
    size_t find_slot(const Prefix& prefix) const {
        size_t mask = slots_.size() - 1;
        size_t at = prefix[0] & mask;
        while (slots_[at] != Prefix{} && slots_[at] != prefix) at = (at + 1) & mask;
        return at;
    }
    void grow() {
        std::vector<Prefix> old(slots_.empty() ? 1024 : slots_.size() * 2);
        old.swap(slots_);
        for (const Prefix& prefix : old)
            if (prefix != Prefix{}) slots_[find_slot(prefix)] = prefix;
    }

    std::vector<Prefix> slots_;  // a power of two
    size_t count_ = 0;
};

}  // namespace sevenfold::repository
