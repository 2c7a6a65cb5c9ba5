// Reading packs whole and verifying everything in them.
#include <algorithm>

#include "core/check.h"
#include "core/parallel.h"
#include "core/random.h"
#include "crypto/sha256.h"
#include "repository/internal/checker.h"
#include "repository/pack.h"
#include "repository/walk.h"

namespace sevenfold::repository::internal {

using storage::FileName;
using storage::FileType;

std::vector<size_t> Checker::packs_to_read() const {
    std::vector<size_t> all;
    for (size_t i = 0; i < packs_.size(); ++i)
        if (packs_[i].indexed != 0) all.push_back(i);
    const ReadData& wanted = options_.read_data;
    if (wanted.kind == ReadData::Kind::all) return all;
    if (wanted.kind == ReadData::Kind::bucket) {
        std::erase_if(all, [&](size_t i) {
            return packs_[i].id.bytes[0] % wanted.buckets != wanted.bucket - 1;
        });
        return all;
    }
    SplitMix64 random(options_.seed);
    for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);
    size_t count = 0;
    if (wanted.kind == ReadData::Kind::percent) {
        count = static_cast<size_t>(static_cast<double>(all.size()) * wanted.percent / 100);
    } else {
        uint64_t bytes = 0;
        while (count < all.size() && bytes + packs_[all[count]].size <= wanted.bytes)
            bytes += packs_[all[count++]].size;
    }
    all.resize(std::min(std::max<size_t>(count, 1), all.size()));
    std::sort(all.begin(), all.end());
    return all;
}

void Checker::read_packs() {
    std::vector<size_t> chosen = packs_to_read();
    if (progress_) {
        for (size_t i : chosen) progress_->bytes_total += packs_[i].size;
        progress_->items_total = chosen.size();
        progress_->totals_known = true;
    }
    // Memory: one pack and one blob for each worker.
    parallel_for(chosen.size(), reading_workers(repository_), [&](size_t i) {
        check_stop();
        read_pack(packs_[chosen[i]]);
    });
}

Bytes Checker::fetch_pack(const PackState& pack, bool& matches_name) {
    // A bad transfer is likelier than a bad file: look twice before calling it damaged.
    for (int attempt = 0;; ++attempt) {
        Bytes file = repository_.backend().load_all({FileType::pack, pack.id});
        {
            std::lock_guard lock(mutex_);
            report_.bytes_read += file.size();
        }
        matches_name = crypto::sha256(file) == pack.id;
        if (matches_name && attempt > 0)
            find(Sort::pack, Severity::warning, "pack " + pack.id.hex(),
                 "was read wrong once and right the second time: the connection, the disk or the "
                 "memory is not reliable");
        if (matches_name || attempt > 0) return file;
    }
}

void Checker::read_pack(PackState& pack) {
    std::string object = "pack " + pack.id.hex();
    Bytes file;
    bool matches_name = false;
    try {
        file = fetch_pack(pack, matches_name);
    } catch (const Error& error) {
        if (!is_damage(error)) throw;
        find(Sort::pack, Severity::error, object, error.message());
        mark_broken(pack.id, &pack);
        return;
    }
    {
        std::lock_guard lock(mutex_);
        ++report_.packs_read;
    }
    if (progress_) {
        ++progress_->items_done;
        progress_->bytes_done += file.size();
    }
    if (!matches_name) {
        find(Sort::pack, Severity::error, object, "its content does not match its name");
        mark_broken(pack.id, &pack);
    }
    std::vector<PackedBlob> blobs;
    if (check_header(pack, file, blobs) && !pack.damaged) decode_all(pack, blobs, file);
}

bool Checker::check_header(PackState& pack, ByteView file, std::vector<PackedBlob>& blobs) {
    std::string object = "pack " + pack.id.hex();
    try {
        crypto::Cipher cipher(repository_.master_key());
        HeaderResult header = read_pack_header(file, file.size(), cipher);
        if (header.bytes_needed != 0)
            throw Error(ErrorKind::corrupt, "its header is longer than the file");
        blobs = std::move(header.blobs);
    } catch (const Error& error) {
        find(Sort::pack, Severity::error, object, "header: " + error.message());
        mark_broken(pack.id, &pack);
        return false;
    }
    size_t agreeing = 0;
    for (const PackedBlob& blob : blobs)
        for (const BlobLocation& copy : repository_.index().find_all(blob.handle))
            if (copy.pack == pack.id && copy.blob == blob) {
                ++agreeing;
                break;
            }
    if (agreeing == blobs.size() && agreeing == pack.indexed) return true;
    find(Sort::pack, Severity::error, object,
         fmt::format("its header lists {} blobs and the index {}, of which {} agree", blobs.size(),
                     pack.indexed, agreeing));
    mark_broken(pack.id, &pack);
    std::lock_guard lock(mutex_);
    report_.suggest_repair_index = true;
    return false;
}

void Checker::decode_all(PackState& pack, const std::vector<PackedBlob>& blobs, ByteView file) {
    for (const PackedBlob& blob : blobs) {
        if (uint64_t{blob.offset} + blob.length <= file.size()) {
            try {
                repository_.decode_blob(blob, file.subspan(blob.offset, blob.length));
                continue;
            } catch (const Error& error) {
                if (!is_damage(error)) throw;
                find(Sort::pack, Severity::error, "pack " + pack.id.hex(), error.message());
            }
        }
        std::lock_guard lock(mutex_);
        broken_.insert(pack.id);
        damaged_copies_.insert({pack.id, blob.offset});
    }
}

// Of a pack that is not as it should be, the blobs that the index expects are tried one by one:
// what still decodes to its own hash is good, whatever surrounds it.
void Checker::salvage() {
    if (salvage_.empty()) return;
    IdSet wanted;
    for (size_t i : salvage_) wanted.insert(packs_[i].id);
    // for_each_pack holds the index: work on its packs after it is done.
    std::vector<IndexedPack> packs;
    repository_.index().for_each_pack([&](const IndexedPack& indexed) {
        if (wanted.contains(indexed.pack)) packs.push_back(indexed);
    });
    for (const IndexedPack& indexed : packs) {
        check_stop();
        PackState* state = pack_state(indexed.pack);
        CHECK(state);
        Bytes file;
        try {
            file = repository_.backend().load_all({FileType::pack, indexed.pack});
        } catch (const Error& error) {
            if (!is_damage(error)) throw;
            missing_packs_.insert(indexed.pack);  // nothing of it can be had
            find(Sort::pack, Severity::error, "pack " + indexed.pack.hex(), error.message());
            continue;
        }
        decode_all(*state, indexed.blobs, file);
    }
}

}  // namespace sevenfold::repository::internal
