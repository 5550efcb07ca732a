package rota

import "strings"

// digits are those of an encoding.
type digits struct {
	bits      int       // each stands for
	values    [256]int8 // by character, -1 for what is no digit
	separator string    // what may stand between two
	wrapped   int       // a line is at least this long if the next one goes on with it
}

var (
	hexDigits = alphabet(digits{bits: 4, separator: " :-\r\n"}, "0123456789abcdef", "0123456789ABCDEF")
	// base64Digits are those of both alphabets.
	base64Digits = alphabet(digits{bits: 6, separator: " \t\r\n", wrapped: 40},
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
	base32Digits = alphabet(digits{bits: 5, separator: " \t\r\n", wrapped: 40}, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
)

// alphabet completes digits with their values.
func alphabet(d digits, alphabets ...string) digits {
	for i := range d.values {
		d.values[i] = -1
	}
	for _, characters := range alphabets {
		for value, c := range []byte(characters) {
			d.values[c] = int8(value)
		}
	}
	return d
}

func (d *digits) value(c byte) int { return int(d.values[c]) }

// undigit undoes an encoding of bytes as digits, wherever there are several in a
// row. What a digit means depends on where in the text the encoded value starts,
// which may be anywhere within something longer: there's a reading for each of
// the first digits that a byte may begin with.
func undigit(d digits) decoder {
	phases := 1
	for phases*d.bits%8 != 0 {
		phases++
	}
	return func(r reading, shortest int) []reading {
		out := make([]reading, phases)
		var run []int
		for i := 0; i < len(r.text); {
			start := i
			run = d.run(run[:0], r.text, i)
			if i++; len(run) > 0 {
				i = run[len(run)-1] + 1
			}
			for skip := range out {
				if (len(run)-skip)*d.bits < 8*shortest {
					break
				}
				d.decode(&out[skip], r, run[skip:])
				out[skip].add(r, start, i, between) // nothing spans two runs
			}
		}
		n := 0
		for n < len(out) && len(out[n].text) > 0 {
			n++
		}
		return out[:n]
	}
}

// decode adds what the digits at these places stand for.
func (d *digits) decode(out *reading, r reading, places []int) {
	bits, held := 0, 0
	first := 0 // the first digit of the byte to come
	for k, place := range places {
		held, bits = held<<d.bits|d.value(r.text[place]), bits+d.bits
		if bits < 8 {
			continue
		}
		bits -= 8
		out.add(r, places[first], place+1, byte(held>>bits))
		held &= 1<<bits - 1
		if first = k; bits == 0 {
			first = k + 1
		}
	}
}

// run appends the places of the digits that belong together, from the given one
// on. Lines that were wrapped belong together.
func (d *digits) run(run []int, text []byte, at int) []int {
	if d.value(text[at]) < 0 {
		return run
	}
	line := 0
	for i := at; i < len(text); {
		if d.value(text[i]) >= 0 {
			run, line, i = append(run, i), line+1, i+1
			continue
		}
		next := i
		for next < len(text) && strings.IndexByte(d.separator, text[next]) >= 0 {
			next++
		}
		if next == i || next == len(text) || line < d.wrapped || d.value(text[next]) < 0 {
			break
		}
		line, i = 0, next
	}
	return run
}
