// The walk through a bucket.
#pragma once

#include "files/bucket_contents.h"
#include "files/internal/source_folder.h"

namespace sevenfold::files::internal {

// The snapshot's root, in which the objects stand below `path`, an absolute one.
std::unique_ptr<SourceFolder> bucket_source(const BucketContents& contents,
                                            const std::string& path);

}  // namespace sevenfold::files::internal
