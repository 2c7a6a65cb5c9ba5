// What a thread needs to turn stored bytes into plaintext and back: a cipher and zstd contexts,
// kept in a pool because both are costly to make.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "crypto/cipher.h"
#include "repository/internal/compression.h"

namespace sevenfold::repository::internal {

struct Codec {
    explicit Codec(const crypto::CipherKey& key) : cipher(key) {}
    crypto::Cipher cipher;
    Compressor compressor;
};

// Thread-safe. A borrowed codec goes back when the handle goes away.
class CodecPool {
  public:
    explicit CodecPool(const crypto::CipherKey& key) : key_(key) {}

    struct Return {
        CodecPool* pool;
        void operator()(Codec* codec) const { pool->give_back(std::unique_ptr<Codec>(codec)); }
    };
    using Handle = std::unique_ptr<Codec, Return>;
    Handle borrow() {
        {
            std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Handle out(idle_.back().release(), Return{this});
                idle_.pop_back();
                return out;
            }
        }
        return Handle(std::make_unique<Codec>(key_).release(), Return{this});
    }

  private:
    void give_back(std::unique_ptr<Codec> codec) {
        std::lock_guard lock(mutex_);
        idle_.push_back(std::move(codec));
    }
    const crypto::CipherKey key_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Codec>> idle_;
};

}  // namespace sevenfold::repository::internal
