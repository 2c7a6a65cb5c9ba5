// Speed of the chunker's paths: the scan alone, and with the skipped start of every chunk.
#include <benchmark/benchmark.h>

#include "core/random.h"
#include "repository/chunker.h"

namespace sevenfold::repository {
namespace {

const ChunkerTables& tables() {
    static const ChunkerTables instance(0x3DA3358B4DC173);
    return instance;
}

Bytes noise(size_t size) {
    SplitMix64 random(1);
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    return bytes;
}

void scan(benchmark::State& state, ChunkerPath path) {
    Bytes data = noise(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        size_t from = 63;
        while (auto n = tables().find_cut(data, from, path)) from = *n + 1;
        benchmark::DoNotOptimize(from);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * data.size()));
}

void chunk(benchmark::State& state, ChunkerPath path) {
    Bytes data = noise(32 << 20);
    auto step = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        Chunker chunker(tables(), path);
        size_t start = 0;
        for (size_t end = step; end <= data.size(); end += step)
            while (auto n = chunker.next(ByteView(data).subspan(start, end - start))) start += *n;
        benchmark::DoNotOptimize(start);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * data.size()));
}

BENCHMARK_CAPTURE(scan, scalar, ChunkerPath::scalar)->Arg(16 << 20);
BENCHMARK_CAPTURE(scan, ssse3, ChunkerPath::ssse3)->Arg(128 << 10)->Arg(16 << 20);
BENCHMARK_CAPTURE(scan, best, best_chunker_path())->Arg(4 << 10)->Arg(128 << 10)->Arg(16 << 20);
BENCHMARK_CAPTURE(chunk, scalar, ChunkerPath::scalar)->Arg(256 << 10);
BENCHMARK_CAPTURE(chunk, ssse3, ChunkerPath::ssse3)->Arg(256 << 10);
BENCHMARK_CAPTURE(chunk, best, best_chunker_path())->Arg(64 << 10)->Arg(256 << 10)->Arg(8 << 20);

}  // namespace
}  // namespace sevenfold::repository
