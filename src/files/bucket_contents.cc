#include "files/bucket_contents.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "storage/s3/bucket_path.h"

namespace sevenfold::files {
namespace {

// Folder by folder: '/' comes before all other bytes.
bool before(const BucketContents::Object& a, const BucketContents::Object& b) {
    return std::ranges::lexicographical_compare(a.path, b.path, [](char x, char y) {
        auto rank = [](char c) { return c == '/' ? -1 : static_cast<unsigned char>(c); };
        return rank(x) < rank(y);
    });
}

}  // namespace

BucketContents::BucketContents(storage::Bucket& bucket, const Options& options)
    : workers(options.workers), bucket_(bucket), options_(options) {
    const std::string prefix = bucket.key_prefix();
    if (options.at && !bucket.is_versioned())
        throw Error(ErrorKind::refused,
                    fmt::format("{}: the bucket keeps no versions", bucket.location()),
                    "What it held at an earlier time is not known; back it up as it is now.");
    auto listed = options.at ? bucket.list_at(prefix, *options.at) : bucket.list(prefix);
    objects_.reserve(listed.size());
    for (storage::ListedObject& object : listed) {
        bytes_ += object.size;
        std::string path = storage::path_of_key(std::string_view(object.key).substr(prefix.size()));
        objects_.push_back({std::move(path), std::move(object)});
    }
    std::ranges::sort(objects_, before);
    for (size_t i = 0; i + 1 < objects_.size(); ++i)
        if (objects_[i + 1].path.starts_with(objects_[i].path + "/"))
            objects_[i].path = storage::path_of_key_beside_folder(
                std::string_view(objects_[i].listed.key).substr(prefix.size()));
}

}  // namespace sevenfold::files
