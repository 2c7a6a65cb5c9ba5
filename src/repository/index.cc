#include "repository/index.h"

#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "core/check.h"
#include "repository/internal/blob_table.h"

namespace sevenfold::repository {
namespace {

// New blobs move from the hash table to a sorted table of their own beyond this many.
constexpr size_t kMaxRecent = 1 << 18;

struct Recent {
    PackedBlob blob;
    uint32_t pack;
};

}  // namespace

struct Index::Impl {
    mutable std::shared_mutex mutex;
    std::vector<Id> packs;
    std::unordered_map<Id, uint32_t> pack_numbers;  // only while loading
    internal::BlobTable loading;
    std::vector<internal::BlobTable> tables;  // sorted
    std::unordered_multimap<BlobHandle, Recent, BlobHandleHash> recent;
    std::unordered_set<Id> tree_packs;

    uint32_t number(const Id& pack) {
        auto [it, fresh] = pack_numbers.try_emplace(pack, static_cast<uint32_t>(packs.size()));
        if (fresh) packs.push_back(pack);
        return it->second;
    }

    void note_tree_pack(const IndexedPack& pack) {
        // Old versions of restic mixed both types in one pack.
        bool has_trees = std::any_of(pack.blobs.begin(), pack.blobs.end(), [](const PackedBlob& b) {
            return b.handle.type == BlobType::tree;
        });
        if (has_trees) tree_packs.insert(pack.pack);
    }

    void freeze_recent() {
        internal::BlobTable table;
        for (const auto& [handle, item] : recent) table.append(item.blob, item.pack);
        table.sort();
        tables.push_back(std::move(table));
        recent = {};
    }

    template <class F>
    void visit(F&& each) const {
        for (const auto& table : tables)
            for (size_t i = 0; i < table.size(); ++i) {
                auto entry = table.entry(i);
                each(entry.pack, entry.blob);
            }
        for (const auto& [handle, item] : recent) each(item.pack, item.blob);
    }
};

Index::Index() : impl_(std::make_unique<Impl>()) {}
Index::~Index() = default;
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;

void Index::append(const IndexedPack& pack) {
    std::unique_lock lock(impl_->mutex);
    uint32_t number = impl_->number(pack.pack);
    for (const PackedBlob& blob : pack.blobs) impl_->loading.append(blob, number);
    impl_->note_tree_pack(pack);
}

void Index::freeze() {
    std::unique_lock lock(impl_->mutex);
    if (impl_->loading.size() == 0) return;
    impl_->loading.sort();
    impl_->tables.push_back(std::move(impl_->loading));
    impl_->loading = {};
    impl_->pack_numbers = {};
    impl_->packs.shrink_to_fit();
}

void Index::add(const IndexedPack& pack) {
    std::unique_lock lock(impl_->mutex);
    auto number = static_cast<uint32_t>(impl_->packs.size());
    impl_->packs.push_back(pack.pack);
    for (const PackedBlob& blob : pack.blobs)
        impl_->recent.emplace(blob.handle, Recent{blob, number});
    impl_->note_tree_pack(pack);
    if (impl_->recent.size() > kMaxRecent) impl_->freeze_recent();
}

bool Index::has(const BlobHandle& blob) const {
    std::shared_lock lock(impl_->mutex);
    for (const auto& table : impl_->tables) {
        auto [first, last] = table.find(blob);
        if (first != last) return true;
    }
    return impl_->recent.contains(blob);
}

std::optional<BlobLocation> Index::find(const BlobHandle& blob) const {
    std::shared_lock lock(impl_->mutex);
    for (const auto& table : impl_->tables) {
        auto [first, last] = table.find(blob);
        if (first == last) continue;
        auto entry = table.entry(first);
        return BlobLocation{impl_->packs[entry.pack], entry.blob};
    }
    auto it = impl_->recent.find(blob);
    if (it == impl_->recent.end()) return std::nullopt;
    return BlobLocation{impl_->packs[it->second.pack], it->second.blob};
}

std::vector<BlobLocation> Index::find_all(const BlobHandle& blob) const {
    std::shared_lock lock(impl_->mutex);
    std::vector<BlobLocation> out;
    for (const auto& table : impl_->tables) {
        auto [first, last] = table.find(blob);
        for (size_t i = first; i < last; ++i) {
            auto entry = table.entry(i);
            out.push_back({impl_->packs[entry.pack], entry.blob});
        }
    }
    auto [first, last] = impl_->recent.equal_range(blob);
    for (auto it = first; it != last; ++it)
        out.push_back({impl_->packs[it->second.pack], it->second.blob});
    return out;
}

bool Index::is_tree_pack(const Id& pack) const {
    std::shared_lock lock(impl_->mutex);
    return impl_->tree_packs.contains(pack);
}

size_t Index::blob_count() const {
    std::shared_lock lock(impl_->mutex);
    size_t n = impl_->recent.size() + impl_->loading.size();
    for (const auto& table : impl_->tables) n += table.size();
    return n;
}

size_t Index::pack_count() const {
    std::shared_lock lock(impl_->mutex);
    return impl_->packs.size();
}

size_t Index::memory_bytes() const {
    std::shared_lock lock(impl_->mutex);
    size_t n = impl_->packs.capacity() * sizeof(Id) + impl_->recent.size() * 120 +
               impl_->tree_packs.size() * 56;
    for (const auto& table : impl_->tables) n += table.memory_bytes();
    return n;
}

void Index::for_each(const std::function<void(const BlobLocation&)>& each) const {
    std::shared_lock lock(impl_->mutex);
    impl_->visit([&](uint32_t pack, const PackedBlob& blob) { each({impl_->packs[pack], blob}); });
}

void Index::for_each_pack(const std::function<void(const IndexedPack&)>& each) const {
    std::shared_lock lock(impl_->mutex);
    // Counting sort of (table, entry) by pack number; the recent ones are few and grouped apart.
    std::vector<uint64_t> starts(impl_->packs.size() + 1, 0);
    for (const auto& table : impl_->tables)
        for (size_t i = 0; i < table.size(); ++i) ++starts[table.entry(i).pack + 1];
    for (size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    std::vector<uint64_t> order(starts.back());
    std::vector<uint64_t> next(starts.begin(), starts.end());
    for (size_t t = 0; t < impl_->tables.size(); ++t)
        for (size_t i = 0; i < impl_->tables[t].size(); ++i)
            order[next[impl_->tables[t].entry(i).pack]++] = static_cast<uint64_t>(t) << 40 | i;
    next = {};
    std::unordered_map<uint32_t, std::vector<PackedBlob>> fresh;
    for (const auto& [handle, item] : impl_->recent) fresh[item.pack].push_back(item.blob);
    for (uint32_t p = 0; p < impl_->packs.size(); ++p) {
        IndexedPack pack{impl_->packs[p], {}};
        for (uint64_t i = starts[p]; i < starts[p + 1]; ++i)
            pack.blobs.push_back(
                impl_->tables[order[i] >> 40].entry(order[i] & ((1ULL << 40) - 1)).blob);
        if (auto it = fresh.find(p); it != fresh.end())
            pack.blobs.insert(pack.blobs.end(), it->second.begin(), it->second.end());
        std::sort(pack.blobs.begin(), pack.blobs.end(),
                  [](const PackedBlob& a, const PackedBlob& b) { return a.offset < b.offset; });
        each(pack);
    }
}

}  // namespace sevenfold::repository
