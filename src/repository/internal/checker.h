// The phases of a check; see repository/check.h. One object, one run.
#pragma once

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "repository/check.h"
#include "repository/id_set.h"

namespace sevenfold::repository::internal {

class Checker {
  public:
    Checker(Repository& repository, const CheckOptions& options, Progress* progress)
        : repository_(repository), options_(options), progress_(progress) {}
    CheckReport run();

  private:
    // Findings of one sort are listed up to max_findings and counted beyond.
    enum class Sort { key, lock, index, snapshot, pack, unindexed, tree, missing_blob, count_ };
    void find(Sort sort, Severity severity, std::string object, std::string message);
    void close_findings();
    void check_stop() const;
    void phase(std::string what);

    struct PackState {
        Id id;
        uint64_t size = 0;
        uint32_t indexed = 0;  // blobs that the index lists for it
        bool damaged = false;
    };

    // check_structure.cc
    void check_keys();
    void check_locks();
    void load_snapshots();
    void list_packs();
    void load_index();
    void compare_packs();
    void compare_pack(const IndexedPack& indexed);
    void report_unindexed();
    void walk();
    void check_nodes(const Id& tree, const std::vector<Node>& nodes);
    PackState* pack_state(const Id& id);
    void mark_broken(const Id& pack, PackState* state);

    // check_data.cc
    std::vector<size_t> packs_to_read() const;
    void read_packs();
    void read_pack(PackState& pack);
    Bytes fetch_pack(const PackState& pack, bool& matches_name);
    bool check_header(PackState& pack, ByteView file, std::vector<PackedBlob>& blobs);
    void decode_all(PackState& pack, const std::vector<PackedBlob>& blobs, ByteView file);
    void salvage();

    // check_affected.cc
    bool anything_lost() const;
    bool lost(const BlobHandle& blob) const;
    bool file_lost(const Node& node) const;
    void find_affected();
    void examine(const Snapshot& snapshot, IdSet& clean);

    Repository& repository_;
    const CheckOptions& options_;
    Progress* progress_;
    CheckReport report_;
    std::vector<Snapshot> snapshots_;
    std::vector<PackState> packs_;  // by id

    mutable std::mutex mutex_;  // guards what follows and report_ in parallel phases
    std::array<uint64_t, static_cast<size_t>(Sort::count_)> counts_{};
    std::array<Severity, static_cast<size_t>(Sort::count_)> severities_{};
    std::set<Id> broken_;          // packs with an error
    std::set<Id> missing_packs_;   // in the index but not there
    std::vector<size_t> salvage_;  // packs whose blobs must be tried one by one, by the index
    std::set<std::pair<Id, uint32_t>> damaged_copies_;  // pack and offset
    IdSet lost_trees_;
    std::set<BlobHandle> missing_blobs_;  // named so far
    uint64_t missing_references_ = 0;
};

}  // namespace sevenfold::repository::internal
