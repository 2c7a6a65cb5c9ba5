// The places of a configuration, opened.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "config/config.h"
#include "protect/backup.h"
#include "storage/open.h"
#include "storage/s3/bucket.h"

namespace sevenfold::protect {

storage::BackendOptions backend_options(const config::PlaceConfig& place);
// Nothing is touched before the first operation. Errors carry "place <name>: ".
std::unique_ptr<storage::Backend> open_place_backend(const config::PlaceConfig& place,
                                                     const storage::BackendOptions& options);

struct OpenPlaceOptions {
    std::string cache_dir;           // remote places get a cache below it; empty: none
    std::stop_token stop = {};       // ends waiting for a place that does not answer
    std::optional<Time> as_of = {};  // the places as they were then, read-only
};

// Opens a place's repository with its password. Errors carry "place <name>: ".
std::unique_ptr<repository::Repository> open_place(const config::PlaceConfig& place,
                                                   const OpenPlaceOptions& options);

// Puts a local cache of index, snapshots and tree packs before a remote repository; others stay as
// they are. Before any other thread uses it.
void add_cache(repository::Repository& repository, const std::string& cache_dir);

// All of them at once; a place that cannot be opened carries its error.
std::vector<JobPlace> open_places(const std::vector<const config::PlaceConfig*>& places,
                                  const OpenPlaceOptions& options);

// The places of a source of any kind, in its order.
template <class Source>
std::vector<const config::PlaceConfig*> places_of(const config::AppConfig& config,
                                                  const Source& source) {
    std::vector<const config::PlaceConfig*> out;
    for (const std::string& name : source.places) out.push_back(&config.place(name));
    return out;
}

// The bucket of a source that has a url. Throws Error{config} for what cannot be.
std::unique_ptr<storage::Bucket> open_source_bucket(const config::FilesConfig& source,
                                                    std::stop_token stop);

}  // namespace sevenfold::protect
