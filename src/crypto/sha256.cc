#include "crypto/sha256.h"

#include <algorithm>
#include <atomic>

#include "core/check.h"
#include "crypto/internal/sha256_kernels.h"

namespace sevenfold::crypto {
namespace {

using namespace internal;
constexpr size_t kBlock = 64;

// The one switch of this file, for tests: all kernels compute the same.
std::atomic<bool> forced_portable{false};

bool use_ni() {
    static const bool available = sha_ni_available();
    return available && !forced_portable.load(std::memory_order_relaxed);
}

void compress(uint32_t* state, const uint8_t* data, size_t blocks) {
    if (blocks == 0) return;
    use_ni() ? sha256_blocks_ni(state, data, blocks) : sha256_blocks_portable(state, data, blocks);
}

// The whole blocks of one message that are still to be compressed.
struct Run {
    uint32_t* state;
    const uint8_t* data;
    size_t blocks;
};

void advance(Run& run, size_t blocks) {
    run.data += blocks * kBlock;
    run.blocks -= blocks;
}

// As far as both have blocks they go together.
void compress_pair(Run a, Run b) {
    if (size_t both = std::min(a.blocks, b.blocks); both != 0 && use_ni()) {
        sha256_blocks_ni_x2(a.state, a.data, b.state, b.data, both);
        advance(a, both);
        advance(b, both);
    }
    compress(a.state, a.data, a.blocks);
    compress(b.state, b.data, b.blocks);
}

// What follows a message's whole blocks: its end, padded; one or two blocks.
struct Tail {
    std::array<uint8_t, 2 * kBlock> bytes{};
    size_t blocks;

    Tail(const uint8_t* end, size_t used, uint64_t length) : blocks(used < kBlock - 8 ? 1 : 2) {
        std::memcpy(bytes.data(), end, used);
        bytes[used] = 0x80;
        for (size_t i = 0; i < 8; ++i)
            bytes[blocks * kBlock - 1 - i] = static_cast<uint8_t>(length * 8 >> (8 * i));
    }
};

constexpr std::array<uint32_t, 8> kStart = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

Id to_id(const std::array<uint32_t, 8>& state) {
    Id id;
    for (size_t i = 0; i < Id::kSize; ++i)
        id.bytes[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
    return id;
}

}  // namespace

const char* sha256_implementation() { return use_ni() ? "sha-ni" : "portable"; }
bool force_portable_sha256(bool on) { return forced_portable.exchange(on); }

Sha256::Sha256() : state_(kStart) {}

void Sha256::update(ByteView data) {
    Sha256* self = this;
    sha256_update_many({&self, 1}, {&data, 1});
}

Id Sha256::digest() const {
    auto state = state_;
    Tail tail(partial_.data(), length_ % kBlock, length_);
    compress(state.data(), tail.bytes.data(), tail.blocks);
    return to_id(state);
}

std::array<Id, 2> sha256_pair(ByteView a, ByteView b) {
    std::array<uint32_t, 8> first = kStart, second = kStart;
    compress_pair({first.data(), a.data(), a.size() / kBlock},
                  {second.data(), b.data(), b.size() / kBlock});
    Tail end_a(a.data() + a.size() / kBlock * kBlock, a.size() % kBlock, a.size());
    Tail end_b(b.data() + b.size() / kBlock * kBlock, b.size() % kBlock, b.size());
    compress_pair({first.data(), end_a.bytes.data(), end_a.blocks},
                  {second.data(), end_b.bytes.data(), end_b.blocks});
    return {to_id(first), to_id(second)};
}

void sha256_update_many(std::span<Sha256* const> hashes, std::span<const ByteView> data) {
    CHECK(hashes.size() == data.size());
    // Two runs are open at a time; when one ends the next message takes its place.
    Run open[2];
    size_t count = 0;
    bool paired = use_ni();
    for (size_t i = 0; i < hashes.size(); ++i) {
        Sha256& hash = *hashes[i];
        ByteView rest = data[i];
        if (rest.empty()) continue;
        if (size_t used = hash.length_ % kBlock; used != 0) {
            size_t n = std::min(kBlock - used, rest.size());
            std::memcpy(hash.partial_.data() + used, rest.data(), n);
            if (used + n == kBlock) compress(hash.state_.data(), hash.partial_.data(), 1);
            hash.length_ += n;
            rest = rest.subspan(n);
        }
        hash.length_ += rest.size();
        size_t blocks = rest.size() / kBlock;
        if (size_t left = rest.size() % kBlock; left != 0)
            std::memcpy(hash.partial_.data(), rest.data() + blocks * kBlock, left);
        if (blocks == 0) continue;
        Run run{hash.state_.data(), rest.data(), blocks};
        if (!paired) {
            compress(run.state, run.data, run.blocks);
            continue;
        }
        open[count++] = run;
        if (count < 2) continue;
        size_t common = std::min(open[0].blocks, open[1].blocks);
        sha256_blocks_ni_x2(open[0].state, open[0].data, open[1].state, open[1].data, common);
        advance(open[0], common);
        advance(open[1], common);
        if (open[0].blocks == 0) open[0] = open[1];
        count = open[0].blocks == 0 ? 0 : 1;
    }
    if (count == 1) compress(open[0].state, open[0].data, open[0].blocks);
}

Id sha256(ByteView message) {
    Sha256 hash;
    hash.update(message);
    return hash.digest();
}

}  // namespace sevenfold::crypto
