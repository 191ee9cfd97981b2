package raftlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/raft/v3/raftpb"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

const (
	page       = 4096
	headerSize = 64
	recordHead = 8 // length and CRC
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// kind tells records apart. The numbers are fixed for ever.
type kind uint8

const (
	kindEntry    kind = 1 // Shard, Index, Term, Type, Data: drops what the shard has from Index on
	kindState    kind = 2 // Shard, Term, Vote, Commit
	kindSnapshot kind = 3 // Shard, Index, Term: drops all entries
	kindForget   kind = 4 // Shard
	kindShard    kind = 5 // checkpoint: Shard, Index and Term before the first entry, Last
	kindSegment  kind = 6 // checkpoint: Seq, ID, End of a segment still needed
	kindMoved    kind = 7 // as kindEntry, but drops nothing
)

// record is everything that a log can hold; its kind says which fields count.
type record struct {
	Kind   kind          `cbor:"1,keyasint"`
	Shard  ident.ShardID `cbor:"2,keyasint,omitempty"`
	Index  uint64        `cbor:"3,keyasint,omitempty"`
	Term   uint64        `cbor:"4,keyasint,omitempty"`
	Type   uint8         `cbor:"5,keyasint,omitempty"`
	Data   []byte        `cbor:"6,keyasint,omitempty"`
	Vote   uint64        `cbor:"7,keyasint,omitempty"`
	Commit uint64        `cbor:"8,keyasint,omitempty"`
	Last   uint64        `cbor:"9,keyasint,omitempty"`
	Seq    uint64        `cbor:"10,keyasint,omitempty"`
	ID     segmentID     `cbor:"11,keyasint,omitempty"`
	End    int64         `cbor:"12,keyasint,omitempty"`
}

// decodeRecord decodes and checks what decodes alone can tell.
func decodeRecord(b []byte) (record, error) {
	var r record
	if len(b) > MaxWriteBytes {
		return r, fmt.Errorf("record of %d bytes: %w", len(b), wire.ErrTooLarge)
	}
	if err := wire.Unmarshal(b, &r); err != nil {
		return r, err
	}
	if r.Kind < kindEntry || r.Kind > kindMoved || r.Type > uint8(raftpb.EntryConfChangeV2) || r.End < 0 || r.End%page != 0 {
		return r, fmt.Errorf("record of kind %d, type %d, end %d: %w", r.Kind, r.Type, r.End, ErrInvalid)
	}
	return r, nil
}

func entryRecord(k kind, shard ident.ShardID, e *raftpb.Entry) record {
	return record{Kind: k, Shard: shard, Index: e.GetIndex(), Term: e.GetTerm(), Type: uint8(e.GetType()), Data: e.GetData()}
}

func (r *record) entry() *raftpb.Entry {
	return &raftpb.Entry{Index: new(r.Index), Term: new(r.Term), Type: raftpb.EntryType(r.Type).Enum(), Data: r.Data}
}

// position is a place in the whole log.
type position struct {
	seq uint64
	off int64
}

func (p position) after(q position) bool { return p.seq > q.seq || p.seq == q.seq && p.off > q.off }

// segmentID is drawn each time a file becomes a segment.
type segmentID uint64

// chain is the CRC that a segment's first header continues.
func (id segmentID) chain() uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, uint64(id)), castagnoli)
}

// header stands at the begin of a batch.
type header struct {
	id     segmentID
	seq    uint64
	pos    int64    // of the header in the segment
	size   int64    // of the records, without header and padding
	synced position // everything before was synced when this was written
	prev   uint32   // the CRC at the end of the batch before
}

var magic = [4]byte{'r', 'h', 'L', '1'}

// put writes the header to b[:headerSize] and returns its CRC, which the first record continues.
func (h header) put(b []byte) uint32 {
	clear(b[:headerSize])
	copy(b, magic[:])
	le := binary.LittleEndian
	le.PutUint64(b[8:], uint64(h.id))
	le.PutUint64(b[16:], h.seq)
	le.PutUint32(b[24:], uint32(h.pos))
	le.PutUint32(b[28:], uint32(h.size))
	le.PutUint64(b[32:], h.synced.seq)
	le.PutUint32(b[40:], uint32(h.synced.off))
	le.PutUint32(b[44:], h.prev)
	crc := crc32.Update(h.prev, castagnoli, b[8:headerSize])
	le.PutUint32(b[4:], crc)
	return crc
}

// parseHeader reads a header and its CRC. It proves itself: no other record is needed.
func parseHeader(b []byte) (h header, crc uint32, ok bool) {
	if len(b) < headerSize || [4]byte(b) != magic {
		return h, 0, false
	}
	le := binary.LittleEndian
	h = header{
		id: segmentID(le.Uint64(b[8:])), seq: le.Uint64(b[16:]),
		pos: int64(le.Uint32(b[24:])), size: int64(le.Uint32(b[28:])),
		synced: position{le.Uint64(b[32:]), int64(le.Uint32(b[40:]))},
		prev:   le.Uint32(b[44:]),
	}
	crc = crc32.Update(h.prev, castagnoli, b[8:headerSize])
	return h, crc, crc == le.Uint32(b[4:]) && h.pos%page == 0 && h.size <= 2*MaxWriteBytes
}

// end is where the next batch begins.
func (h header) end() int64 { return h.pos + roundUp(headerSize+h.size) }

func roundUp(n int64) int64 { return (n + page - 1) / page * page }

// where is the place of a record in its segment, and what its CRC continues.
type where struct {
	off, size uint32
	prev      uint32
}

// batch is a batch that is being built; the zero value is empty.
type batch struct {
	buf    []byte
	starts []where // offsets are in the batch until it is sealed
}

func (b *batch) reset() {
	if cap(b.buf) > 4*batchBytes {
		b.buf = nil
	}
	b.buf = append(b.buf[:0], make([]byte, headerSize)...)
	b.starts = b.starts[:0]
}

// add appends a record and returns its number.
func (b *batch) add(r record) int {
	off := len(b.buf)
	b.buf = append(b.buf, make([]byte, recordHead)...)
	b.buf = append(b.buf, wire.MustMarshal(r)...)
	binary.LittleEndian.PutUint32(b.buf[off:], uint32(len(b.buf)-off-recordHead))
	b.starts = append(b.starts, where{off: uint32(off), size: uint32(len(b.buf) - off)})
	return len(b.starts) - 1
}

// bytes is the size on disk.
func (b *batch) bytes() int64 { return roundUp(int64(len(b.buf))) }

// seal fills in the header and the CRCs, pads, turns starts into places of the segment, and
// returns the CRC that the next batch continues.
func (b *batch) seal(h header) uint32 {
	h.size = int64(len(b.buf)) - headerSize
	crc := h.put(b.buf)
	for i := range b.starts {
		w := &b.starts[i]
		w.prev = crc
		crc = sumRecord(b.buf[w.off:w.off+w.size], crc)
		binary.LittleEndian.PutUint32(b.buf[w.off+4:], crc)
		w.off += uint32(h.pos)
	}
	b.buf = append(b.buf, make([]byte, b.bytes()-int64(len(b.buf)))...)
	return crc
}

// sumRecord is the CRC of a record's length and body, continuing prev.
func sumRecord(b []byte, prev uint32) uint32 {
	return crc32.Update(crc32.Update(prev, castagnoli, b[:4]), castagnoli, b[recordHead:])
}

// checkRecord verifies a record of exactly len(b) bytes and returns its body.
func checkRecord(b []byte, prev uint32) (body []byte, crc uint32, ok bool) {
	if len(b) < recordHead || int(binary.LittleEndian.Uint32(b)) != len(b)-recordHead {
		return nil, 0, false
	}
	crc = sumRecord(b, prev)
	return b[recordHead:], crc, crc == binary.LittleEndian.Uint32(b[4:])
}

// located is a record with its place.
type located struct {
	record
	where
}

// parseBatch reads the records behind a valid header at b[0]; b reaches to the end of the segment. It returns the
// CRC at the end, or false when anything is not as it was written.
func parseBatch(b []byte, h header, crc uint32) (recs []located, end uint32, ok bool) {
	if int64(len(b)) < headerSize+h.size {
		return nil, 0, false
	}
	body := b[headerSize : headerSize+h.size]
	for off := uint32(headerSize); len(body) > 0; {
		if len(body) < recordHead {
			return nil, 0, false
		}
		n := uint64(recordHead) + uint64(binary.LittleEndian.Uint32(body))
		if n > uint64(len(body)) {
			return nil, 0, false
		}
		raw, next, ok := checkRecord(body[:n], crc)
		if !ok {
			return nil, 0, false
		}
		r, err := decodeRecord(raw)
		if err != nil {
			return nil, 0, false
		}
		recs = append(recs, located{r, where{off + uint32(h.pos), uint32(n), crc}})
		crc, off, body = next, off+uint32(n), body[n:]
	}
	return recs, crc, true
}
