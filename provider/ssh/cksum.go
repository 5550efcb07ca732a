package ssh

import "fmt"

// sumTable is that of the CRC of POSIX's cksum.
var sumTable = func() (table [256]uint32) {
	for i := range table {
		crc := uint32(i) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

// checksum is what cksum prints about a content on its standard input. It finds
// out what broke on the way and what somebody else has changed, not an attack.
func checksum(content []byte) string {
	var crc uint32
	add := func(b byte) { crc = crc<<8 ^ sumTable[byte(crc>>24)^b] }
	for _, b := range content {
		add(b)
	}
	for n := len(content); n > 0; n >>= 8 {
		add(byte(n))
	}
	return fmt.Sprintf("%d %d", ^crc, len(content))
}
