// Speed of hashing and of sealing, opening and verifying envelopes.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include "core/random.h"
#include "crypto/cipher.h"
#include "crypto/sha256.h"

namespace sevenfold::crypto {
namespace {

Bytes noise(size_t size) {
    SplitMix64 random(1);
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    return bytes;
}

void count_bytes(benchmark::State& state, size_t size) {
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * size));
}

void sha256_openssl(benchmark::State& state) {
    Bytes data = noise(1 << 20);
    Id id;
    for (auto _ : state)
        EVP_Digest(data.data(), data.size(), id.bytes.data(), nullptr, EVP_sha256(), nullptr);
    count_bytes(state, data.size());
}
BENCHMARK(sha256_openssl);

void sha256_portable(benchmark::State& state) {
    Bytes data = noise(1 << 20);
    bool before = force_portable_sha256(true);
    for (auto _ : state) benchmark::DoNotOptimize(sha256(data));
    force_portable_sha256(before);
    count_bytes(state, data.size());
}
BENCHMARK(sha256_portable);

// The argument is the number of messages hashed at once.
void sha256_many(benchmark::State& state) {
    auto count = static_cast<size_t>(state.range(0));
    Bytes data = noise(count << 18);
    std::vector<ByteView> views;
    for (size_t i = 0; i < count; ++i) views.push_back(ByteView(data).subspan(i << 18, 1 << 18));
    for (auto _ : state) {
        std::vector<Sha256> hashes(count);
        std::vector<Sha256*> pointers;
        for (Sha256& hash : hashes) pointers.push_back(&hash);
        sha256_update_many(pointers, views);
        for (Sha256& hash : hashes) benchmark::DoNotOptimize(hash.digest());
    }
    count_bytes(state, data.size());
}
BENCHMARK(sha256_many)->DenseRange(1, 4);

void seal(benchmark::State& state) {
    Cipher cipher(CipherKey::generate());
    Bytes data = noise(static_cast<size_t>(state.range(0)));
    Bytes out(data.size() + kEnvelopeOverhead);
    for (auto _ : state) cipher.seal(data, out.data());
    count_bytes(state, data.size());
}
BENCHMARK(seal)->Arg(1 << 10)->Arg(1 << 20)->Arg(8 << 20);

void open(benchmark::State& state) {
    Cipher cipher(CipherKey::generate());
    Bytes data = noise(static_cast<size_t>(state.range(0)));
    Bytes envelope = cipher.seal(data);
    for (auto _ : state)
        if (!cipher.open(envelope, MutableByteView(data))) state.SkipWithError("does not verify");
    count_bytes(state, data.size());
}
BENCHMARK(open)->Arg(1 << 10)->Arg(1 << 20)->Arg(8 << 20);

void verifies_as(benchmark::State& state) {
    Cipher cipher(CipherKey::generate());
    Bytes data = noise(static_cast<size_t>(state.range(0)));
    Bytes envelope = cipher.seal(data);
    for (auto _ : state)
        if (!cipher.verifies_as(envelope, data)) state.SkipWithError("does not verify");
    count_bytes(state, data.size());
}
BENCHMARK(verifies_as)->Arg(1 << 10)->Arg(1 << 20)->Arg(8 << 20);

}  // namespace
}  // namespace sevenfold::crypto
