// Restore to a bucket: makes the objects below a location what a snapshot says.
//
// A file that was an object gets its key, headers, metadata, tags and grants back; any other file
// becomes a private object of its path, with a content type by its name and its time as metadata
// "mtime" (seconds since 1970). What is no file is left out with a note.
//
// Grants to the account that owned the object become grants to the one that owns it now; those of
// groups stay; those to further accounts come back only where the owner is the same, or where
// `grantees` says who they are there: ids of one vendor mean somebody else with another.
//
// After each object was written, its headers, tags and grants are read again and compared; what
// differs is a problem. An object is replaced only while it is the one that was listed, and made
// only where there is none. A damaged file is not uploaded. Interrupted restores are continued by
// running them again with an `overwrite` mode: what is there and right is not sent again.
//
// Memory: each worker (8) holds a part of 16 MiB and what internal/content_reader.h says.
#pragma once

#include <map>

#include "files/restore.h"
#include "storage/s3/bucket.h"

namespace sevenfold::files {

struct BucketRestoreOptions {
    // Account ids of then, and who they are at the target.
    std::map<std::string, std::string> grantees;
};

// Grants of the restored objects, compared with those they had.
struct Parity {
    uint64_t compared = 0;
    uint64_t more_open = 0;    // somebody may do more than before
    uint64_t more_closed = 0;  // or less
    uint64_t unknown = 0;      // not recorded, or not to be read at the target
};

struct BucketRestoreResult {
    RestoreResult restore;
    Parity parity;
};

// Of `options` the target, the folder and what only file systems have do not count. Throws as
// restore(), and what Bucket::list throws.
BucketRestoreResult restore_to_bucket(const repository::Repository& repository,
                                      storage::Bucket& bucket, const RestoreOptions& options,
                                      const BucketRestoreOptions& more);

}  // namespace sevenfold::files
