// Blobs of files, out of ranges of packs that were read from the place.
#pragma once

#include "core/bytes.h"
#include "repository/repository.h"

namespace sevenfold::files::internal {

// No chunker makes larger blobs; a hostile index must not make us reserve gigabytes.
bool is_plausible(const repository::PackedBlob& blob);

// Bytes [begin, end) of a pack; empty when they cannot be read: each blob then looks for another
// copy by itself. Throws when there is no way to the place, as it then has no other copy either.
Bytes load_range(const repository::Repository& repository, const Id& pack, uint64_t begin,
                 uint64_t end);

// The plaintext of `blob`, whose envelope lies in `range`, which begins at `begin` of its pack and
// may be empty; from another copy when this one is bad. Throws as Repository::load_blob. Its length
// need not be the one that the index says.
Bytes plaintext_of(const repository::Repository& repository, const Id& id,
                   const repository::PackedBlob& blob, ByteView range, uint64_t begin);

}  // namespace sevenfold::files::internal
