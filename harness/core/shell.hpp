#pragma once
// Commands that people or scripts give to a shell.

#include <string>

namespace arena {

/// The text as one word of a shell, in quotes where it needs them.
std::string shell_word(const std::string& text);

}  // namespace arena
