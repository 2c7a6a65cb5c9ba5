// Tables for people: aligned columns, cut to the terminal's width.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"

namespace sevenfold::cli {

struct Column {
    std::string title;
    enum Align { left, right } align = left;
    bool shrinks = false;  // gives way, from its end, when the table is wider than the terminal
};

struct Cell {
    Cell(std::string cell_text, Style cell_style = Style::plain)
        : text(std::move(cell_text)), style(cell_style) {}
    Cell(const char* cell_text) : text(cell_text) {}
    std::string text;  // made printable by the table
    Style style = Style::plain;
};

class Table {
  public:
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    // One cell a column; missing ones are empty.
    void row(std::vector<Cell> cells);
    bool empty() const { return rows_.empty(); }

    // Lines without a final newline. `width` 0: never cut. `painted`: with colours.
    std::string text(size_t width, bool painted) const;
    // On standard output; nothing with --json.
    void print(Terminal& terminal) const;

  private:
    std::vector<size_t> widths(size_t limit) const;
    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

}  // namespace sevenfold::cli
