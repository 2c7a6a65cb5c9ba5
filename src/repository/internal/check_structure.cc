// Keys, locks, index, snapshots and trees.
#include <algorithm>

#include "core/parallel.h"
#include "core/units.h"
#include "crypto/sha256.h"
#include "repository/internal/checker.h"
#include "repository/lock.h"
#include "repository/pack.h"
#include "repository/walk.h"

namespace sevenfold::repository::internal {

using storage::FileName;
using storage::FileType;

namespace {

constexpr uint64_t kMaxKeyFile = 1 << 20;

// Missing blobs are named up to this many; beyond, references are counted.
constexpr size_t kMaxMissingNamed = 100'000;

std::string object(FileType type, const Id& id) {
    switch (type) {
        case FileType::key:
            return "key " + id.hex();
        case FileType::lock:
            return "lock " + id.hex();
        case FileType::snapshot:
            return "snapshot " + id.hex();
        case FileType::index:
            return "index " + id.hex();
        default:
            return "pack " + id.hex();
    }
}

}  // namespace

void Checker::check_keys() {
    storage::Backend& backend = repository_.backend();
    for (const storage::FileInfo& file : backend.list_all(FileType::key)) {
        FileName name{FileType::key, file.id};
        try {
            Bytes content = backend.load_all(name, kMaxKeyFile);
            if (crypto::sha256(content) != file.id) content = backend.load_all(name, kMaxKeyFile);
            if (crypto::sha256(content) != file.id)
                find(Sort::key, Severity::error, object(FileType::key, file.id),
                     "its content does not match its name; its password may no longer open the "
                     "repository");
        } catch (const Error& error) {
            if (!is_damage(error)) throw;
            find(Sort::key, Severity::error, object(FileType::key, file.id), error.message());
        }
    }
}

void Checker::check_locks() {
    for (const storage::FileInfo& file : repository_.backend().list_all(FileType::lock)) {
        if (file.size == 0) continue;  // left by a writer that died; everybody ignores them
        try {
            decode_lock(repository_.load_unpacked(FileType::lock, file.id));
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::not_found) continue;  // released meanwhile
            if (!is_damage(error)) throw;
            find(Sort::lock, Severity::error, object(FileType::lock, file.id),
                 error.message() + "; `unlock --remove-all` removes it");
        }
    }
}

void Checker::load_snapshots() {
    auto files = repository_.backend().list_all(FileType::snapshot);
    std::vector<std::optional<Snapshot>> loaded(files.size());
    parallel_for(files.size(), reading_workers(repository_), [&](size_t i) {
        check_stop();
        try {
            loaded[i] = load_snapshot(repository_, files[i].id);
        } catch (const Error& error) {
            if (!is_damage(error)) throw;
            find(Sort::snapshot, Severity::error, object(FileType::snapshot, files[i].id),
                 error.message());
            std::lock_guard lock(mutex_);
            report_.unreadable_snapshots.push_back(files[i].id);
        }
    });
    for (auto& snapshot : loaded)
        if (snapshot) snapshots_.push_back(std::move(*snapshot));
    std::sort(snapshots_.begin(), snapshots_.end(), [](const Snapshot& a, const Snapshot& b) {
        return a.time != b.time ? a.time < b.time : a.id < b.id;
    });
    report_.snapshots = snapshots_.size();
}

void Checker::load_index() {
    std::vector<Error> damaged;
    report_.index_files = repository_.backend().list_all(FileType::index).size();
    repository_.load_index(&damaged, progress_);
    for (const Error& error : damaged) {
        find(Sort::index, Severity::error, "index", error.message());
        report_.suggest_repair_index = true;
    }
    report_.blobs = repository_.index().blob_count();
}

void Checker::list_packs() {
    repository_.backend().list(FileType::pack, [&](const storage::FileInfo& file) {
        packs_.push_back({file.id, file.size});
    });
    std::sort(packs_.begin(), packs_.end(),
              [](const PackState& a, const PackState& b) { return a.id < b.id; });
    report_.packs = packs_.size();
}

Checker::PackState* Checker::pack_state(const Id& id) {
    auto it =
        std::lower_bound(packs_.begin(), packs_.end(), id,
                         [](const PackState& pack, const Id& wanted) { return pack.id < wanted; });
    return it != packs_.end() && it->id == id ? &*it : nullptr;
}

void Checker::mark_broken(const Id& pack, PackState* state) {
    std::lock_guard lock(mutex_);
    broken_.insert(pack);
    if (!state) {
        missing_packs_.insert(pack);
    } else if (!state->damaged) {
        state->damaged = true;
        salvage_.push_back(static_cast<size_t>(state - packs_.data()));
    }
}

void Checker::compare_packs() {
    repository_.index().for_each_pack([&](const IndexedPack& indexed) {
        check_stop();
        compare_pack(indexed);
    });
    report_unindexed();
}

void Checker::compare_pack(const IndexedPack& indexed) {
    if (indexed.blobs.empty()) return;
    std::string pack = object(FileType::pack, indexed.pack);
    PackState* state = pack_state(indexed.pack);
    if (!state) {
        find(Sort::pack, Severity::error, pack,
             fmt::format("missing, but the index lists {} blobs in it", indexed.blobs.size()));
        mark_broken(indexed.pack, nullptr);
        report_.suggest_repair_index = true;
        return;
    }
    state->indexed = static_cast<uint32_t>(indexed.blobs.size());
    uint64_t expected = pack_file_size(indexed.blobs);
    if (state->size != expected) {
        find(
            Sort::pack, Severity::error, pack,
            fmt::format("has {} bytes, but by the index it should have {}", state->size, expected));
        mark_broken(indexed.pack, state);
    }
    uint64_t end = 0;
    for (const PackedBlob& blob : indexed.blobs) {
        if (blob.offset < end || uint64_t{blob.offset} + blob.length > state->size) {
            find(Sort::index, Severity::error, pack,
                 fmt::format("by the index its {} blob {} {}", name(blob.handle.type),
                             blob.handle.id.hex(),
                             blob.offset < end ? "overlaps another" : "ends beyond the file"));
            mark_broken(indexed.pack, state);
            report_.suggest_repair_index = true;
        }
        end = std::max(end, uint64_t{blob.offset} + blob.length);
    }
}

void Checker::report_unindexed() {
    for (const PackState& pack : packs_) {
        if (pack.indexed != 0) continue;
        ++report_.unindexed_packs;
        find(Sort::unindexed, Severity::warning, object(FileType::pack, pack.id),
             "not in any index; left by an interrupted backup, or its index file is lost");
        report_.suggest_prune = true;
    }
}

void Checker::walk() {
    std::vector<Id> roots;
    for (const Snapshot& snapshot : snapshots_) roots.push_back(snapshot.tree);
    TreeVisitor visitor;
    visitor.visit = [&](const Id& tree, const std::vector<Node>& nodes) {
        check_nodes(tree, nodes);
        if (progress_) ++progress_->items_done;
    };
    visitor.failed = [&](const Id& tree, const Error& error) {
        find(Sort::tree, Severity::error, "tree " + tree.hex(), error.message());
        std::lock_guard lock(mutex_);
        lost_trees_.insert(tree);
    };
    report_.trees = walk_all_trees(repository_, roots, visitor, options_.stop);
}

void Checker::check_nodes(const Id& tree, const std::vector<Node>& nodes) {
    for (const Node& node : nodes) {
        if (node.is_dir() && !node.subtree)
            find(Sort::tree, Severity::error, "tree " + tree.hex(),
                 fmt::format("directory \"{}\" has no tree", node.name));
        if (!is_safe_name(node.name))
            find(Sort::tree, Severity::error, "tree " + tree.hex(),
                 fmt::format("\"{}\" is not a possible file name", node.name));
        for (const Id& id : node.content) {
            BlobHandle blob{BlobType::data, id};
            if (repository_.index().has(blob)) continue;
            bool fresh = false;
            {
                std::lock_guard lock(mutex_);
                if (!missing_blobs_.contains(blob)) {
                    if (missing_blobs_.size() < kMaxMissingNamed) {
                        missing_blobs_.insert(blob);
                        report_.suggest_repair_index = true;
                        fresh = true;
                    } else {
                        ++missing_references_;
                        ++report_.errors;
                    }
                }
            }
            if (fresh)
                find(Sort::missing_blob, Severity::error, "data blob " + id.hex(),
                     fmt::format("needed by file \"{}\" in tree {}, but not in the index",
                                 node.name, tree.short_hex()));
        }
    }
}

}  // namespace sevenfold::repository::internal
