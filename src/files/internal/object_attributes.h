// What is kept of an object beside its bytes, as extended attributes of its file: see
// files/bucket_contents.h for their names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "repository/node.h"
#include "storage/s3/bucket.h"

namespace sevenfold::files::internal {

// An empty value is none. sort_attributes() comes after the last one.
void set_attribute(repository::Node& node, std::string_view name, std::string_view value);
void sort_attributes(repository::Node& node);
// Empty when there is none.
std::string_view get_attribute(const repository::Node& node, std::string_view name);

void set_headers(repository::Node& node, const storage::ObjectHeaders& headers);
// The opposite. Lines of metadata that are none are left out.
storage::ObjectHeaders get_headers(const repository::Node& node);

// Whether the file was an object once.
bool was_object(const repository::Node& node);

}  // namespace sevenfold::files::internal
