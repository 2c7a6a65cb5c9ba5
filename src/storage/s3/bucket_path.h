// Between the keys of a bucket, which may be any bytes, and paths of a tree, whose names must be
// names of files.
//
// A key is cut at its slashes, and most become what they look like. What cannot be a name:
//   an empty name ("/a", "a//b", "a/")     %         "%/a", "a/%/b", "a/%"
//   "." and ".."                           %2E and %2E%2E
//   a zero byte                            %00
//   a % that could be taken for these      %25       before two hexadecimal digits, or at the end
//   an object whose name is a folder too   % behind  "a" beside "a/b" is "a%"
//   a name of more than 255 bytes          in parts, all but the last with "%-" behind
// Other bytes stay: control characters and what is not UTF-8 are good names. Two different keys
// never become one path, and key_of_path gives the key back.
#pragma once

#include <string>
#include <string_view>

namespace sevenfold::storage {

std::string path_of_key(std::string_view key);
// The same for an object beside which there are others with "key/" in front.
std::string path_of_key_beside_folder(std::string_view key);
// Also for paths that path_of_key does not make: each has some key.
std::string key_of_path(std::string_view path);

}  // namespace sevenfold::storage
