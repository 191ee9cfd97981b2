package thumb

import (
	"bytes"
	"encoding/binary"
)

// Tags of Exif 2.32, in TIFF 6.0.
const (
	tagTurn   = 0x0112 // orientation
	tagAt     = 0x0201 // where the small picture begins
	tagLength = 0x0202 // and how long it is

	maxTags = 512
)

// exif finds how a photo is turned, 1 for upright, and the small picture that it brings
// along, nil for none.
func exif(b []byte) (turn int, within []byte) {
	tiff := exifOf(b)
	if len(tiff) < 8 {
		return 1, nil
	}
	var order binary.ByteOrder = binary.BigEndian
	if bytes.HasPrefix(tiff, []byte("II")) {
		order = binary.LittleEndian
	}
	main, next := tags(tiff, order, order.Uint32(tiff[4:]))
	small, _ := tags(tiff, order, next)
	if turn = int(main[tagTurn] >> 16); order == binary.LittleEndian {
		turn = int(main[tagTurn] & 0xffff)
	}
	if turn < 1 || turn > 8 {
		turn = 1
	}
	at, n := uint64(small[tagAt]), uint64(small[tagLength])
	if n == 0 || at+n > uint64(len(tiff)) {
		return turn, nil
	}
	return turn, tiff[at : at+n]
}

// exifOf is the Exif part of a JPEG, nil when it has none before its picture begins.
func exifOf(b []byte) []byte {
	if !bytes.HasPrefix(b, []byte("\xff\xd8")) {
		return nil
	}
	for b = b[2:]; len(b) >= 4 && b[0] == 0xff && b[1] >= 0xe0; {
		n := 2 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return nil
		}
		if body, ok := bytes.CutPrefix(b[4:n:n], []byte("Exif\x00\x00")); ok && b[1] == 0xe1 && n >= 4 {
			return body
		}
		b = b[n:]
	}
	return nil
}

// tags reads the entries of one directory whose value is a number, as their four bytes
// stand, and where the next directory is.
func tags(tiff []byte, order binary.ByteOrder, at uint32) (list map[uint16]uint32, next uint32) {
	if at == 0 || uint64(at)+2 > uint64(len(tiff)) {
		return nil, 0
	}
	n := int(order.Uint16(tiff[at:]))
	rest := tiff[at+2:]
	if n > maxTags || len(rest) < 12*n {
		return nil, 0
	}
	list = map[uint16]uint32{}
	for i := range n {
		entry := rest[12*i:]
		list[order.Uint16(entry)] = order.Uint32(entry[8:])
	}
	if rest = rest[12*n:]; len(rest) >= 4 {
		next = order.Uint32(rest)
	}
	return list, next
}
