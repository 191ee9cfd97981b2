package catalog

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"redhen/provision/wire"
)

// Limits of a write. Sizes are in bytes.
const (
	MaxWrite = 1 << 20
	MaxAfter = 16
	MaxName  = 255
	// MaxDepth is how many names a path may have when something is put there.
	MaxDepth = 64
	// MaxProps bounds the names and values of all properties of a node together.
	MaxProps = 64 << 10
	MaxOwner = 1 << 10
	MaxToken = 256
	maxWhere = 64
	maxID    = 64
)

// EncodeWrite checks w against all limits and encodes it; ErrInvalid or ErrBadName.
func EncodeWrite(w Write) ([]byte, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	// Only where a name is made: the tables of normal forms grow with every
	// Unicode version, and a box with older ones must still apply the write.
	for _, name := range []string{w.Op.Name, w.Op.ToName, w.Where} {
		if !norm.NFC.IsNormalString(name) {
			return nil, fmt.Errorf("%w: %q is not in normal form C", ErrBadName, name)
		}
	}
	b, err := wire.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode write: %w", err)
	}
	if len(b) > MaxWrite {
		return nil, fmt.Errorf("%w: %d bytes", ErrInvalid, len(b))
	}
	return b, nil
}

// DecodeWrite reads what EncodeWrite wrote and checks it again.
func DecodeWrite(b []byte) (Write, error) {
	if len(b) > MaxWrite {
		return Write{}, fmt.Errorf("%w: %d bytes", ErrInvalid, len(b))
	}
	var w Write
	if err := wire.Unmarshal(b, &w); err != nil {
		return Write{}, fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return w, w.check()
}

// CheckName refuses what cannot be the name of anything: "", ".", "..", more than
// MaxName bytes, invalid UTF-8, "/" and control characters.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
	case len(name) > MaxName || !utf8.ValidString(name):
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || unicode.IsControl(r) }):
	default:
		return nil
	}
	return fmt.Errorf("%w: %q", ErrBadName, name)
}

func (id WriteID) check() error {
	if id.Box == "" || len(id.Box) > maxID || strings.Contains(string(id.Box), ".") || id.Seq == 0 {
		return fmt.Errorf("%w: write ID %v", ErrInvalid, id)
	}
	return nil
}

func (id WriteID) checkOptional() error {
	if id.IsZero() {
		return nil
	}
	return id.check()
}

func (w *Write) check() error {
	switch {
	case len(w.Author) > maxID || len(w.Where) > maxWhere || !utf8.ValidString(w.Where):
		return fmt.Errorf("%w: author or house", ErrInvalid)
	case w.Time < 0 || w.Floor > w.ID.Seq || len(w.After) > MaxAfter:
		return fmt.Errorf("%w: time, floor or predecessors", ErrInvalid)
	}
	if err := w.ID.check(); err != nil {
		return err
	}
	for _, id := range w.After {
		if err := id.check(); err != nil {
			return err
		}
	}
	return w.Op.check()
}

func (o *Op) check() error {
	for _, id := range []WriteID{o.Base, o.Version} {
		if err := id.checkOptional(); err != nil {
			return err
		}
	}
	if o.If.Match != nil {
		if err := o.If.Match.check(); err != nil {
			return err
		}
	}
	if err := o.checkProps(); err != nil {
		return err
	}
	if err := o.checkNames(); err != nil {
		return err
	}
	return o.checkKind()
}

func (o *Op) checkProps() error {
	n := 0
	for name, value := range o.Props {
		n += len(name) + len(value)
	}
	if n > MaxProps || o.ModTime < 0 {
		return fmt.Errorf("%w: properties of %d bytes, time %d", ErrInvalid, n, o.ModTime)
	}
	return nil
}

// checkNames checks the names that the kind needs, and those that it has anyway.
func (o *Op) checkNames() error {
	needsName := (o.Kind == Put || o.Kind == Mkdir) || o.Node == Root && (o.Kind == Move || o.Kind == Remove)
	if o.Name != "" || needsName {
		if err := CheckName(o.Name); err != nil {
			return err
		}
	}
	if o.ToName != "" || o.Kind == Move {
		return CheckName(o.ToName)
	}
	return nil
}

func (o *Op) checkKind() error {
	bad := false
	switch o.Kind {
	case Put:
		if o.Content == nil {
			return fmt.Errorf("%w: put without content", ErrInvalid)
		}
		if err := o.Content.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	case SetLock, Unlock:
		l := o.Lock
		bad = l == nil || l.Token == "" || len(l.Token) > MaxToken || len(l.Owner) > MaxOwner || l.Expires < 0 || len(l.Author) > maxID || l.Path != ""
	case Restore:
		bad = o.Node == Root
	case Mkdir, Move, Remove, SetProps:
	default:
		return fmt.Errorf("%w: unknown kind %d, from a newer version", ErrInvalid, o.Kind)
	}
	if bad || o.Kind != Put && o.Content != nil || o.Kind != SetLock && o.Kind != Unlock && o.Lock != nil {
		return fmt.Errorf("%w: kind %d", ErrInvalid, o.Kind)
	}
	return nil
}

// Shares reports whether a later op builds on this one, which the write id does:
// on the node that it makes, changes, moves or removes, or on a name it touches.
// Such writes must be decided in their order.
func (o *Op) Shares(id WriteID, later Op) bool {
	made := NodeOf(id)
	if later.Base == id || later.Version == id {
		return true
	}
	for _, n := range [...]NodeID{later.Node, later.Dir, later.ToDir} {
		if n != Root && (n == made || n == o.Node) {
			return true
		}
	}
	// A directory goes after what was put into it.
	if later.Node != Root && (later.Node == o.Dir || later.Node == o.ToDir) && (later.Kind == Remove || later.Kind == Move) {
		return true
	}
	return slices.ContainsFunc(o.places(), func(p place) bool { return slices.Contains(later.places(), p) })
}

// place is a name in a directory; names that look alike are one.
type place struct {
	dir  NodeID
	fold string
}

func (o *Op) places() []place {
	var ps []place
	if o.Name != "" {
		ps = append(ps, place{o.Dir, fold(o.Name)})
	}
	if o.ToName != "" {
		ps = append(ps, place{o.ToDir, fold(o.ToName)})
	}
	return ps
}
