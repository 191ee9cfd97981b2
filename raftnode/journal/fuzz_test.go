package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"redhen/raftnode/vfs/vfstest"
)

// FuzzOpen reads files that anybody may have written: opening ends with a
// journal or with ErrDamaged, and what opens can be appended to.
func FuzzOpen(f *testing.F) {
	good := padBlock(appendHead(nil, 9))
	f.Add(good, false)
	body := appendRecords(nil, []record{{kindWrite, []byte("x")}, {kindResolved, encodeID(id(3))}})
	f.Add(append(good, padBlock(appendBatch(nil, batch{9, 0, 0, body}))...), true)
	f.Add(append(good, padBlock(appendBatch(nil, batch{9, 1, 1, nil}))...), true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign && len(b) >= block+batchHead+4 { // get past the checksums
			copy(b, appendHead(nil, 9))
			binary.BigEndian.PutUint64(b[block:], 9)
			n := min(int(binary.BigEndian.Uint32(b[block+24:])), len(b)-block-batchHead-4)
			copy(b[block+batchHead+n:], appendCRC(bytes.Clone(b[block:block+batchHead+n]), 0)[batchHead+n:])
		}
		d := vfstest.New(1)
		must(t, d.MkdirAll("journal"))
		file, err := d.OpenFile(testPath, os.O_RDWR|os.O_CREATE)
		must(t, err)
		_, err = file.WriteAt(b, 0)
		must(t, err)
		j, err := OpenOn(d, testPath, quiet())
		if errors.Is(err, ErrDamaged) {
			return
		}
		must(t, err)
		n := j.Len()
		must(t, j.Append(write(1<<40)))
		must(t, j.Close())
		if j = openTest(t, d, testPath); j.Len() != n+1 {
			t.Errorf("%d writes, then %d", n, j.Len())
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	f.Add(appendBatch(nil, batch{1, 2, 3, []byte("records")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := parseBatch(b); p != nil && !bytes.Equal(appendBatch(nil, *p), b) {
			t.Errorf("another encoding of %v", p)
		}
	})
}
