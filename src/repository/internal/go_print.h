// Which runes Go's strconv.Quote leaves as they are. It decides the bytes of a tree, and so its id:
// the table stays at the Unicode version of the Go that built restic 0.14, whatever this machine
// has. A restic built with a newer Go leaves some newer characters unescaped; both forms are read.
#pragma once

#include <cstdint>

namespace sevenfold::repository {

// Go's strconv.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space.
bool is_printable(uint32_t rune);

}  // namespace sevenfold::repository
