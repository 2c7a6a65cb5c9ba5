// A bucket as a source: what it holds, listed once, before anything is read.
//
// The listing is complete or an error; some 300 bytes an object stay in memory. Objects become
// files of the paths that storage/s3/bucket_path.h gives them. With each file are kept, as extended
// attributes "user.s3.…": etag, version, content-type, cache-control, content-disposition,
// content-encoding, content-language, expires, metadata ("name: value" lines), storage-class, tags
// and acl (as storage/s3/bucket_xml.h writes them); with the bucket's own folder names=1, which
// says how names were made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/s3/bucket.h"

namespace sevenfold::files {

inline constexpr std::string_view kS3Attribute = "user.s3.";

class BucketContents {
  public:
    struct Object {
        std::string path;  // below the prefix
        storage::ListedObject listed;
    };
    struct Options {
        std::optional<Time> at;        // as it was then, by its versions
        bool acl = true, tags = true;  // ask for them
        // Ask for grants and tags of unchanged objects, too: changing them changes no time.
        bool refresh = false;
        unsigned workers = 16;
    };
    // Lists. Throws what Bucket::list throws; refused for `at` where the bucket keeps no versions.
    BucketContents(storage::Bucket& bucket, const Options& options);

    const std::vector<Object>& objects() const { return objects_; }  // folder by folder
    uint64_t bytes() const { return bytes_; }
    const Options& options() const { return options_; }
    storage::Bucket& bucket() const { return bucket_; }

    const unsigned workers;

  private:
    storage::Bucket& bucket_;
    const Options options_;
    std::vector<Object> objects_;
    uint64_t bytes_ = 0;
};

}  // namespace sevenfold::files
