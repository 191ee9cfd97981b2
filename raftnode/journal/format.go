package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"redhen/provision/wire"
	"redhen/raftnode/catalog"
)

// The file is one head and then batches, each at a multiple of block bytes and
// filled up with zeros; numbers are big-endian:
//
//	head:   magic (16 bytes), generation (8, random), CRC-32C (4)
//	batch:  generation (8), number (8), synced (8), length of records (4), records, CRC-32C of all before (4)
//	record: kind (1), length (4), body
//
// Batches are numbered from 0. Each states how many were known to be synced before
// it was written. So the first bad batch is damage when any later one says that it was
// synced, and a torn end otherwise. A block that was synced is never written again: a power cut
// may leave nonsense in one that is being written. What lies behind a torn end could one day look like a
// good batch; therefore the next write goes to a new file, of another generation.
//
// Zeros are written ahead, so that a sync has data to write and no new size.
const (
	magic     = "redhen journal 1"
	block     = 4096
	ahead     = 16 * block
	headSize  = len(magic) + 8 + 4
	batchHead = 8 + 8 + 8 + 4

	// maxRecords is the most bytes of records in a batch that is read.
	maxRecords = 64 << 20
	// copySize is about how many bytes of records go into one batch of a new file.
	copySize = 256 << 10
	// slack is how long a file is before it is looked at for what is resolved, in bytes.
	slack = 1 << 20
)

const (
	kindWrite    byte = 1
	kindResolved byte = 2
)

type record struct {
	kind byte
	body []byte
}

// batch is one batch, decoded.
type batch struct {
	generation, number, synced uint64
	records                    []byte
}

func (b *batch) blocks() int64 {
	return (int64(batchHead+len(b.records)+4) + block - 1) / block * block
}

func appendHead(b []byte, generation uint64) []byte {
	return appendCRC(binary.BigEndian.AppendUint64(append(b, magic...), generation), 0)
}

func readHead(r io.ReaderAt) (generation uint64, err error) {
	b := make([]byte, headSize)
	if _, err := r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if !bytes.Equal(b, appendHead(nil, binary.BigEndian.Uint64(b[len(magic):]))) {
		return 0, fmt.Errorf("%w: its head cannot be read", ErrDamaged)
	}
	return binary.BigEndian.Uint64(b[len(magic):]), nil
}

func appendBatch(b []byte, t batch) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, t.generation)
	b = binary.BigEndian.AppendUint64(b, t.number)
	b = binary.BigEndian.AppendUint64(b, t.synced)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.records)))
	return appendCRC(append(b, t.records...), start)
}

// parseBatch reads exactly what appendBatch wrote; nil when it is bad.
func parseBatch(b []byte) *batch {
	if len(b) < batchHead+4 || int(binary.BigEndian.Uint32(b[24:])) != len(b)-batchHead-4 {
		return nil
	}
	body := b[: len(b)-4 : len(b)-4]
	if !bytes.Equal(appendCRC(body, 0), b) {
		return nil
	}
	return &batch{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), body[batchHead:]}
}

func appendRecords(b []byte, records []record) []byte {
	for _, r := range records {
		b = binary.BigEndian.AppendUint32(append(b, r.kind), uint32(len(r.body)))
		b = append(b, r.body...)
	}
	return b
}

// eachRecord visits the records of a batch.
func eachRecord(b []byte, visit func(record) error) error {
	for len(b) > 0 {
		if len(b) < 5 || int64(binary.BigEndian.Uint32(b[1:])) > int64(len(b)-5) {
			return fmt.Errorf("%w: %d bytes are no record", ErrDamaged, len(b))
		}
		n := 5 + int(binary.BigEndian.Uint32(b[1:]))
		if err := visit(record{b[0], b[5:n]}); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func appendCRC(b []byte, start int) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], crc32.MakeTable(crc32.Castagnoli)))
}

func padBlock(b []byte) []byte {
	if rest := len(b) % block; rest > 0 {
		b = append(b, make([]byte, block-rest)...)
	}
	return b
}

func encodeID(id catalog.WriteID) []byte { return wire.MustMarshal(id) }

func decodeID(b []byte) (id catalog.WriteID, err error) {
	err = wire.Unmarshal(b, &id)
	return id, err
}
