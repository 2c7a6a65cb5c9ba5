// The repository engine: a library of its own that knows nothing of jobs, policy or catalog.
//
// Words: a *repository* is a set of immutable files at a storage::Backend. Contents are cut into
// *blobs*, blobs are collected in *packs*, the *index* says in which pack a blob lies, a *tree* is
// a blob that lists a directory, a *snapshot* names a root tree. *Keys* open it, *locks* keep
// writers apart.
//
// Order that keeps every interruption harmless: packs, then the index files that list them, then
// the snapshot. Readers go the other way: snapshots are listed before the index is loaded.
//
// Threads: everything here may be called from several threads at once unless a class says
// otherwise.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/id.h"
#include "core/progress.h"
#include "core/secret.h"
#include "core/time.h"
#include "crypto/cipher.h"
#include "repository/blob.h"
#include "repository/chunker.h"
#include "repository/index.h"
#include "repository/key.h"
#include "repository/node.h"
#include "storage/backend.h"

namespace sevenfold::repository {

struct RepositoryConfig {
    int version = 2;
    Id id;
    Polynomial chunker_polynomial = 0;
};
std::string encode_config(const RepositoryConfig& config);
RepositoryConfig decode_config(ByteView json);  // throws Error{corrupt} or {unsupported}

struct CreateOptions {
    int version = 2;
    std::optional<Polynomial> chunker_polynomial;  // taken over from another place; else random
    KeyOptions key;
};

struct OpenOptions {
    std::optional<Id> key_hint;
    size_t max_keys = 20;
};

class Repository {
  public:
    // Makes a new repository. Throws exists when there is one. Durable on return; when it fails
    // half way, a key without config may be left, which create() removes the next time. Throws
    // refused when there are snapshots without a config.
    static std::unique_ptr<Repository> create(std::unique_ptr<storage::Backend> backend,
                                              const Secret& password, const CreateOptions& options);
    // Throws no_repository, wrong_password, corrupt, unsupported, and what the backend throws.
    static std::unique_ptr<Repository> open(std::unique_ptr<storage::Backend> backend,
                                            const Secret& password, const OpenOptions& options);
    ~Repository();

    const RepositoryConfig& config() const;
    storage::Backend& backend() const;
    std::string location() const;  // without credentials
    // Puts a decorator (a cache, say) around the backend. Before any other thread uses the
    // repository.
    void wrap_backend(
        const std::function<std::unique_ptr<storage::Backend>(std::unique_ptr<storage::Backend>)>&
            wrap);
    const Id& key_id() const;
    const crypto::CipherKey& master_key() const;
    // The cutting tables for this repository's polynomial; made at first use.
    const ChunkerTables& chunker() const;

    // Index, snapshot, lock files: decrypted, decompressed, and their name verified against their
    // bytes.
    Bytes load_unpacked(storage::FileType type, const Id& id) const;
    // Encrypts (and compresses in v2), verifies what it made, stores. Durable on return.
    Id save_unpacked(storage::FileType type, ByteView json) const;
    void remove(storage::FileType type, const Id& id) const;

    // Loads all index files. Damaged ones throw Error{corrupt} naming the file, unless `damaged` is
    // given: then they are collected there and the rest is loaded.
    void load_index(std::vector<Error>* damaged = nullptr, Progress* progress = nullptr);
    Index& index() { return *index_; }
    const Index& index() const { return *index_; }

    // Plaintext of a blob: verified by MAC and SHA-256; tries every copy the index knows, and once
    // more from the backend before it gives up. not_found when the index does not list it, corrupt
    // when no copy is good.
    Bytes load_blob(const BlobHandle& blob) const;
    std::vector<Node> load_tree(const Id& id) const;  // Error names the tree

    // Decrypts and verifies one envelope (format A.3/A.4) of `location`, given its bytes.
    // Throws Error{corrupt}. Thread-safe (per-thread cipher and zstd contexts).
    Bytes decode_blob(const PackedBlob& blob, ByteView envelope) const;

    // The blobs of a pack by its own header, not by the index.
    std::vector<PackedBlob> load_pack_header(const Id& pack, uint64_t file_size) const;

  private:
    Repository();
    std::vector<IndexedPack> load_index_file(const Id& id) const;

    struct Impl;
    std::unique_ptr<Impl> impl_;
    std::unique_ptr<Index> index_;
};

}  // namespace sevenfold::repository
