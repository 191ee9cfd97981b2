package card

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"redhen/images/layout"
)

// The FAT32 that MakeFAT makes (Microsoft, FAT32 File System Specification 1.03).
const (
	clusterSize = 2048 // so small that even 192 MiB are 65,525 clusters or more: fewer would be FAT16
	reserved    = 32   // sectors before the first table
	rootCluster = 2
	endOfChain  = 0x0fffffff
	entrySize   = 32
	dirAttr     = 0x10
	fileAttr    = 0x20
	labelAttr   = 0x08
	longAttr    = 0x0f
	longChars   = 13 // of a long name, in each entry
)

// MakeFAT makes a FAT32 with the files, by name, and nothing else. The same files and
// time make the same bytes; file after file lies in one piece. Names are as
// fs.ValidPath wants them, and no two may differ by case alone.
func MakeFAT(w io.WriterAt, x layout.Extent, files map[string][]byte, at time.Time) error {
	m := &maker{w: w, x: x, at: at, table: []uint32{0x0ffffff8, endOfChain}}
	perTable := (x.Size/clusterSize + 2) * 4
	m.tableSectors = (perTable + layout.Sector - 1) / layout.Sector
	m.data = reserved*layout.Sector + 2*m.tableSectors*layout.Sector
	m.clusters = (x.Size - m.data) / clusterSize
	if m.clusters < 65525 || m.clusters > 1<<22 {
		return fmt.Errorf("make FAT: %d clusters", m.clusters)
	}
	root := &folder{name: "/"}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := root.add(name, files[name]); err != nil {
			return fmt.Errorf("make FAT: %w", err)
		}
	}
	if err := m.folder(root, nil); err != nil {
		return fmt.Errorf("make FAT: %w", err)
	}
	if err := errors.Join(m.tables(), m.head()); err != nil {
		return fmt.Errorf("make FAT: %w", err)
	}
	return nil
}

// folder is a folder or, without entries, a file.
type folder struct {
	name    string
	short   [11]byte
	content []byte // of a file
	isFile  bool
	entries []*folder
	cluster uint32 // the first; 0 for an empty file
}

func (d *folder) add(name string, content []byte) error {
	if !fs.ValidPath(name) || name == "." || len(content) > MaxFile {
		return fmt.Errorf("put %q of %d bytes: %w", name, len(content), fs.ErrInvalid)
	}
	head, rest, below := strings.Cut(name, "/")
	i := slices.IndexFunc(d.entries, func(e *folder) bool { return strings.EqualFold(e.name, head) })
	if i < 0 {
		d.entries = append(d.entries, &folder{name: head, short: d.shortName(head), isFile: !below})
		i = len(d.entries) - 1
	}
	e := d.entries[i]
	if e.name != head || e.isFile == below || !below && e.content != nil {
		return fmt.Errorf("put %q beside %q: %w", name, e.name, fs.ErrExist)
	}
	if below {
		return e.add(rest, content)
	}
	e.content = content
	return nil
}

// shortName returns the name that old firmware sees: the name itself in capitals
// where it is short enough, and else its beginning and a number.
func (d *folder) shortName(name string) [11]byte {
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	plain := func(s string, n int) (string, bool) {
		p := strings.Map(func(r rune) rune {
			if r < 0x80 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_~", r)) {
				return r
			}
			return -1
		}, s)
		return strings.ToUpper(p[:min(n, len(p))]), len(p) == len(s) && len(p) <= n
	}
	b, whole := plain(base, 8)
	x, wholeX := plain(ext, 3)
	if s := pad(b, x); whole && wholeX && !d.has(s) {
		return s
	}
	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		if s := pad(b[:min(len(b), 8-len(tail))]+tail, x); !d.has(s) {
			return s
		}
	}
}

func pad(base, ext string) (s [11]byte) {
	copy(s[:], fmt.Sprintf("%-8s%-3s", base, ext))
	return s
}

func (d *folder) has(short [11]byte) bool {
	return slices.ContainsFunc(d.entries, func(e *folder) bool { return e.short == short })
}

// isShort reports whether the short name says all.
func (d *folder) isShort() bool {
	base, ext := strings.TrimRight(string(d.short[:8]), " "), strings.TrimRight(string(d.short[8:]), " ")
	if ext != "" {
		base += "." + ext
	}
	return base == d.name
}

// maker writes one FAT.
type maker struct {
	w            io.WriterAt
	x            layout.Extent
	at           time.Time
	table        []uint32 // one number for each cluster handed out
	tableSectors int64
	data         int64 // where cluster 2 begins
	clusters     int64
}

// chain hands out clusters in one piece for size bytes.
func (m *maker) chain(size int) (first uint32, err error) {
	n := (size + clusterSize - 1) / clusterSize
	if int64(len(m.table)+n) > m.clusters+2 {
		return 0, errors.New("it is full")
	}
	if n == 0 {
		return 0, nil
	}
	first = uint32(len(m.table))
	for i := range n - 1 {
		m.table = append(m.table, first+uint32(i)+1)
	}
	m.table = append(m.table, endOfChain)
	return first, nil
}

func (m *maker) write(b []byte, cluster uint32) error {
	_, err := m.w.WriteAt(b, m.x.Start+m.data+int64(cluster-2)*clusterSize)
	return err
}

// folder writes a folder and all below it; parent is nil for the root.
func (m *maker) folder(d, parent *folder) (err error) {
	size := 2 * entrySize
	for _, e := range d.entries {
		size += entrySize * (1 + len(e.long()))
	}
	if d.cluster, err = m.chain(size); err != nil {
		return err
	}
	b := m.opening(d, parent)
	for _, e := range d.entries {
		if e.isFile {
			err = m.file(e)
		} else {
			err = m.folder(e, d)
		}
		if err != nil {
			return err
		}
		for _, l := range e.long() {
			b = append(b, l...)
		}
		attr := byte(dirAttr)
		if e.isFile {
			attr = fileAttr
		}
		b = append(b, m.entry(e.short, attr, e.cluster, len(e.content))...)
	}
	whole := (size + clusterSize - 1) / clusterSize * clusterSize
	return m.write(append(b, make([]byte, whole-len(b))...), d.cluster)
}

// opening is what a folder begins with: the label in the root, and elsewhere itself
// and its parent, which is 0 where that is the root.
func (m *maker) opening(d, parent *folder) []byte {
	if parent == nil {
		return m.entry(pad(label, ""), labelAttr, 0, 0)
	}
	up := parent.cluster
	if up == rootCluster {
		up = 0
	}
	return append(m.entry(pad(".", ""), dirAttr, d.cluster, 0), m.entry(pad("..", ""), dirAttr, up, 0)...)
}

func (m *maker) file(e *folder) (err error) {
	if e.cluster, err = m.chain(len(e.content)); err != nil || e.cluster == 0 {
		return err
	}
	return m.write(e.content, e.cluster)
}

func (m *maker) entry(short [11]byte, attr byte, cluster uint32, size int) []byte {
	b := make([]byte, entrySize)
	copy(b, short[:])
	b[11] = attr
	date := uint16((m.at.Year()-1980)<<9 | int(m.at.Month())<<5 | m.at.Day())
	clock := uint16(m.at.Hour()<<11 | m.at.Minute()<<5 | m.at.Second()/2)
	put := binary.LittleEndian.PutUint16
	put(b[14:], clock)
	put(b[16:], date)
	put(b[18:], date)
	put(b[20:], uint16(cluster>>16))
	put(b[22:], clock)
	put(b[24:], date)
	put(b[26:], uint16(cluster))
	binary.LittleEndian.PutUint32(b[28:], uint32(size))
	return b
}

// long returns the entries of the long name, the last part first.
func (d *folder) long() (all [][]byte) {
	if d.isShort() {
		return nil
	}
	var sum byte
	for _, c := range d.short {
		sum = sum>>1 | sum<<7
		sum += c
	}
	u := append(utf16.Encode([]rune(d.name)), 0)
	for len(u)%longChars != 0 {
		u = append(u, 0xffff)
	}
	if full := len(u) - longChars; u[full] == 0 && (full == 0 || len(utf16.Encode([]rune(d.name))) == full) {
		u = u[:full] // a name that fills its entries has no end mark
	}
	n := len(u) / longChars
	for i := n; i >= 1; i-- {
		b := make([]byte, entrySize)
		b[0], b[11], b[13] = byte(i), longAttr, sum
		if i == n {
			b[0] |= 0x40
		}
		for j, c := range u[(i-1)*longChars : i*longChars] {
			binary.LittleEndian.PutUint16(b[longPlace(j):], c)
		}
		all = append(all, b)
	}
	return all
}

// longPlace is where the j-th letter of a long name's part is in its entry.
func longPlace(j int) int {
	switch {
	case j < 5:
		return 1 + 2*j
	case j < 11:
		return 14 + 2*(j-5)
	}
	return 28 + 2*(j-11)
}

func (m *maker) tables() error {
	b := make([]byte, m.tableSectors*layout.Sector)
	for i, next := range m.table {
		binary.LittleEndian.PutUint32(b[4*i:], next)
	}
	for i := range int64(2) {
		if _, err := m.w.WriteAt(b, m.x.Start+(reserved+i*m.tableSectors)*layout.Sector); err != nil {
			return err
		}
	}
	return nil
}

// head writes the boot sector and the summary of free room, and their copies.
func (m *maker) head() error {
	put16, put32 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32
	b := make([]byte, reserved*layout.Sector)
	copy(b, "\xeb\x58\x90redhen  ")
	put16(b[11:], layout.Sector)
	b[13] = clusterSize / layout.Sector
	put16(b[14:], reserved)
	b[16], b[21] = 2, 0xf8 // tables, a disk
	put16(b[24:], 63)
	put16(b[26:], 255)
	put32(b[28:], uint32(m.x.Start/layout.Sector))
	put32(b[32:], uint32(m.x.Size/layout.Sector))
	put32(b[36:], uint32(m.tableSectors))
	put32(b[44:], rootCluster)
	put16(b[48:], 1)
	put16(b[50:], 6)
	b[64], b[66] = 0x80, 0x29
	put32(b[67:], uint32(m.at.Unix()))
	copy(b[71:], fmt.Sprintf("%-11s%-8s", label, "FAT32"))
	put16(b[510:], 0xaa55)
	s := b[layout.Sector:]
	put32(s, 0x41615252)
	put32(s[484:], 0x61417272)
	put32(s[488:], 0xffffffff) // free clusters: not known; who adds a file later need not count
	put32(s[492:], uint32(len(m.table)))
	put32(s[508:], 0xaa550000)
	copy(b[6*layout.Sector:], b[:2*layout.Sector])
	_, err := m.w.WriteAt(b, m.x.Start)
	return err
}
