// The URL forms of buckets, restic's: "s3:https://host[:port]/bucket/prefix", "s3:http://…",
// "s3:host[:port]/bucket/prefix" and "s3://host/bucket/prefix" (both https).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "storage/limit_backend.h"
#include "storage/open.h"
#include "storage/s3/s3_client.h"

namespace sevenfold::storage {

// `url` begins with "s3:". Throws Error{config} with a message that names no URL and holds no
// secret.
Location parse_s3_location(std::string_view url);
std::string display_s3_location(const Location& location);

// What calls on_server_time of the options with each answer's Date; nothing when that is not set.
std::function<void(const net::HttpResponse&)> time_teller(const BackendOptions& options);

// Throws Error{config} for options that cannot be. `limits` shape its traffic.
std::unique_ptr<Backend> open_s3(const Location& location, const BackendOptions& options,
                                 const Limits& limits);

// A client of the location's bucket. Throws Error{config} for options that cannot be.
S3ClientOptions s3_client_options(const Location& location, const BackendOptions& options,
                                  const Limits& limits = {});

}  // namespace sevenfold::storage
