package rota

import (
	"bytes"
	"strconv"
)

// unwrap puts lines together that a program wrapped, also if it indented or
// quoted them.
func unwrap(r reading, _ int) []reading {
	if !r.lines || bytes.IndexByte(r.text, '\n') < 0 {
		return nil
	}
	var out reading
	for i := 0; i < len(r.text); {
		if n := lineBreak(r.text[i:]); n > 0 {
			i += n
			continue
		}
		out.add(r, i, i+1, r.text[i])
		i++
	}
	return []reading{out}
}

// lineBreak returns the length of a line break at the beginning of the text, with
// the blanks around it and the mark of a quotation; 0 if there's none.
func lineBreak(text []byte) int {
	n := blanks(text)
	if n < len(text) && text[n] == '\r' {
		n++
	}
	if n == len(text) || text[n] != '\n' {
		return 0
	}
	n++
	n += blanks(text[n:])
	if n < len(text) && (text[n] == '>' || text[n] == '|') {
		if gap := blanks(text[n+1:]); gap > 0 {
			n += 1 + gap
		}
	}
	return n
}

// blanks returns how many blanks and tabs a text starts with.
func blanks(text []byte) int {
	return len(text) - len(bytes.TrimLeft(text, " \t"))
}

// undump reads dumps in hex, such as those of xxd, hexdump and od: lines with an
// offset, groups of digits and often the same in characters. A dump that swaps the
// bytes of each group shows numbers as a little-endian machine keeps them. Every
// byte comes from the whole line, so that its characters go too.
func undump(swaps bool) decoder {
	return func(r reading, _ int) []reading {
		if !r.lines {
			return nil
		}
		var out reading
		found := false
		for at := 0; at < len(r.text); {
			end := len(r.text)
			if n := bytes.IndexByte(r.text[at:], '\n'); n >= 0 {
				end = at + n
			}
			d, ok := dumpLine(r.text[at:end], swaps)
			if ok {
				out.add(r, at+d.from, at+d.to, d.bytes...)
			} else if found {
				out.add(r, at, max(end, at+1), between) // nothing spans two dumps
			}
			found = found || ok
			at = end + 1
		}
		return some(out, found)
	}
}

// dumped is what a line of a dump shows, and where in the line.
type dumped struct {
	from, to int
	bytes    []byte
}

// The fewest digits of an offset.
const offsetDigits = 4

// dumpLine reads the first part of a line that looks like a dump: before it may
// be what a logger or an error puts there.
func dumpLine(line []byte, swaps bool) (dumped, bool) {
	for at := 0; at < len(line); {
		n := hexLength(line[at:])
		if n == 0 || at > 0 && hexLength(line[at-1:]) > 0 {
			at++
			continue
		}
		if n >= offsetDigits {
			if d, ok := dumpGroups(line, at, at+n, swaps); ok {
				return d, true
			}
		}
		at += n
	}
	return dumped{}, false
}

// hexLength returns how many digits in hex a text starts with.
func hexLength(text []byte) int {
	n := 0
	for n < len(text) && hexDigits.value(text[n]) >= 0 {
		n++
	}
	return n
}

// dumpGroups reads what follows an offset.
func dumpGroups(line []byte, offset, at int, swaps bool) (dumped, bool) {
	d := dumped{from: offset}
	if at < len(line) && line[at] == ':' {
		at++
	}
	width, groups := 0, 0
	gap := blanks(line[at:])
	for first := gap; gap > 0; {
		n := hexLength(line[at+gap:])
		if width == 0 {
			width = n
		}
		// What is set off by more blanks than the first group are the characters,
		// unless it's a shorter group in a column of its own.
		if n == 0 || n%2 != 0 || n > width || gap > first && gap+n != first+width {
			break
		}
		at += gap
		d.bytes = append(d.bytes, group(line[at:at+n], swaps)...)
		at, groups = at+n, groups+1
		gap = blanks(line[at:])
		if n < width {
			break // only the last one is shorter
		}
	}
	d.to = at
	if gap > 0 && groups > 0 { // the characters, which hexdump -C and od put between marks
		if at += gap; at < len(line) && (line[at] == '|' || line[at] == '>') {
			at += 2
		}
		d.to = min(at+len(d.bytes), len(line))
	}
	return d, groups > 0
}

// group returns the bytes that a group of digits stands for.
func group(text []byte, swaps bool) []byte {
	out := make([]byte, len(text)/2)
	for i := range out {
		b := byte(hexDigits.value(text[2*i])<<4 | hexDigits.value(text[2*i+1]))
		if swaps {
			out[len(out)-1-i] = b
		} else {
			out[i] = b
		}
	}
	return out
}

// unlist reads lists of bytes as numbers, such as [104 117 110] and 0x68, 0x75.
func unlist(r reading, shortest int) []reading {
	if !r.lines {
		return nil
	}
	type number struct {
		from, to int
		value    byte
	}
	var out reading
	var list []number
	end := func() {
		if len(list) >= shortest {
			for _, n := range list {
				out.add(r, n.from, n.to, n.value)
			}
			last := list[len(list)-1]
			out.add(r, last.from, last.to, between) // nothing spans two lists
		}
		list = list[:0]
	}
	for i := 0; i < len(r.text); {
		n := numberLength(r.text[i:])
		if n == 0 {
			if c := r.text[i]; c != ' ' && c != ',' && c != '\n' && c != '\r' && c != '\t' {
				end()
			}
			i++
			continue
		}
		value, err := strconv.ParseUint(string(r.text[i:i+n]), 0, 8)
		if err != nil {
			end()
		} else {
			list = append(list, number{i, i + n, byte(value)})
		}
		i += n
	}
	end()
	return some(out, len(out.text) > 0)
}

// numberLength returns the length of the word that a text starts with, if it
// starts with a digit.
func numberLength(text []byte) int {
	if len(text) == 0 || text[0] < '0' || text[0] > '9' {
		return 0
	}
	n := 0
	for n < len(text) && (hexDigits.value(text[n]) >= 0 || text[n] == 'x' || text[n] == 'X') {
		n++
	}
	return n
}
