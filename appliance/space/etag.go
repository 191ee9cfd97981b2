package space

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"redhen/provision/ident"
	"redhen/raftnode/catalog"
)

// tagOf returns a version as the inside of an ETag: the box's key, incarnation and
// number in base64url, 58 characters or a few more. It is short because programs have
// little room for what they send back: litmus, and others built on neon, cut an If
// header of two ETags at 200 bytes.
func tagOf(id catalog.WriteID) string {
	key := id.Box.PublicKey()
	if ident.BoxIDOf(key) != id.Box {
		return id.String() // no box of ours; it is a name in a test
	}
	b := binary.BigEndian.AppendUint64(key[:len(key):len(key)], id.Inc)
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(b, id.Seq))
}

// parseETag reads what Info.ETag wrote.
func parseETag(tag string) (id catalog.WriteID, err error) {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return id, ErrPrecondition
	}
	tag = tag[1 : len(tag)-1]
	if strings.Contains(tag, ".") {
		return catalog.ParseWriteID(tag)
	}
	const keyAndInc = 32 + 8
	b, err := base64.RawURLEncoding.Strict().DecodeString(tag)
	if err != nil || len(b) <= keyAndInc {
		return id, ErrPrecondition
	}
	seq, n := binary.Uvarint(b[keyAndInc:])
	id = catalog.WriteID{Box: ident.BoxIDOf(b[:32]), Inc: binary.BigEndian.Uint64(b[32:]), Seq: seq}
	if n != len(b)-keyAndInc || seq == 0 || tagOf(id) != tag {
		return catalog.WriteID{}, ErrPrecondition
	}
	return id, nil
}
