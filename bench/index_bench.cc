// Load time, memory and look-up speed of a large index.
//
//   index_bench [BLOBS] [DIR]     10,000,000 blobs by default; with DIR the repository is kept
//   there,
//                                 so that other programs can be timed on it (password "benchmark")
//
// The repository holds index files only, as large as restic seals them, in a local folder. A child
// makes them, so that this process's memory is that of loading alone.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/random.h"
#include "repository/repository.h"
#include "storage/local/local_backend.h"

namespace sevenfold::repository {
namespace {

constexpr size_t kBlobsPerPack = 16, kPacksPerFile = 50'000 / kBlobsPerPack;

Secret password() { return Secret("benchmark"); }

Id random_id(SplitMix64& random) {
    Id id;
    for (size_t i = 0; i < Id::kSize; i += 8) {
        uint64_t part = random.next();
        std::memcpy(id.bytes.data() + i, &part, sizeof part);
    }
    return id;
}

BlobHandle handle(SplitMix64& random) { return {BlobType::data, random_id(random)}; }

void make(const std::string& dir, size_t blobs) {
    CreateOptions options;
    options.key.kdf_time = std::chrono::milliseconds(0);
    auto repository =
        Repository::create(std::make_unique<storage::LocalBackend>(dir), password(), options);
    SplitMix64 ids(1), lengths(2);
    std::vector<IndexedPack> packs;
    for (size_t made = 0; made < blobs;) {
        IndexedPack pack{random_id(lengths), {}};
        uint32_t offset = 0;
        for (size_t i = 0; i < kBlobsPerPack && made < blobs; ++i, ++made) {
            auto plain = static_cast<uint32_t>(lengths.next() % (2 << 20) + 1000);
            uint32_t length = plain / 2 + 32;
            pack.blobs.push_back({handle(ids), offset, length, plain});
            offset += length;
        }
        packs.push_back(std::move(pack));
        if (packs.size() < kPacksPerFile && made < blobs) continue;
        repository->save_unpacked(storage::FileType::index, as_bytes(encode_index(packs)));
        packs.clear();
    }
}

// Of this process, in MiB: VmRSS now or VmHWM, the peak.
double memory_mib(const std::string& field) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(field + ":"))
            return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
    return 0;
}

template <class F>
double seconds(F&& work) {
    auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void load(const std::string& dir, size_t blobs) {
    auto repository =
        Repository::open(std::make_unique<storage::LocalBackend>(dir), password(), {});
    double before = memory_mib("VmRSS");
    double took = seconds([&] { repository->load_index(); });
    double after = memory_mib("VmRSS");
    const Index& index = repository->index();
    fmt::print("{} blobs in {} packs loaded in {:.2f} s\n", index.blob_count(), index.pack_count(),
               took);
    fmt::print(
        "memory: index {:.1f} MiB = {:.1f} bytes a blob; process {:.1f} MiB more than before, peak "
        "{:.1f} MiB\n",
        static_cast<double>(index.memory_bytes()) / (1 << 20),
        static_cast<double>(index.memory_bytes()) / static_cast<double>(blobs), after - before,
        memory_mib("VmHWM"));
    SplitMix64 ids(1), others(3);
    size_t looked = std::min<size_t>(blobs, 1'000'000), found = 0;
    double hits = seconds([&] {
        for (size_t i = 0; i < looked; ++i) found += index.has(handle(ids));
    });
    double misses = seconds([&] {
        for (size_t i = 0; i < looked; ++i) found += index.has(handle(others));
    });
    auto each_ns = [&](double s) { return s * 1e9 / static_cast<double>(looked); };
    fmt::print(
        "look-ups: {} of {} found; {:.0f} ns for one that is there, {:.0f} ns for one that is "
        "not\n",
        found, 2 * looked, each_ns(hits), each_ns(misses));
}

int run(int argc, char** argv) {
    size_t blobs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
    std::string dir =
        argc > 2
            ? argv[2]
            : (std::filesystem::temp_directory_path() / fmt::format("sevenfold-index-{}", getpid()))
                  .string();
    if (!std::filesystem::exists(dir + "/config")) {
        pid_t child = fork();
        if (child == 0) {
            make(dir, blobs);
            std::_Exit(0);
        }
        int status = 0;
        if (waitpid(child, &status, 0) != child || status != 0) return 1;
    }
    load(dir, blobs);
    if (argc <= 2) std::filesystem::remove_all(dir);
    return 0;
}

}  // namespace
}  // namespace sevenfold::repository

int main(int argc, char** argv) { return sevenfold::repository::run(argc, argv); }
