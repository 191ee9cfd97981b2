package drill

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
)

const (
	// Length is how long a house plays dead.
	Length = time.Minute
	// fresh is how old, or how far ahead, an order may be by the clock of the box that is asked.
	fresh = 15 * time.Minute
	// rest is how long a house is left alone after a drill.
	rest = 5 * time.Minute
)

// Order asks the boxes of a house to play dead, in the name of a keeper.
type Order struct {
	Circle ident.CircleID `cbor:"1,keyasint"`
	House  ident.HouseID  `cbor:"2,keyasint"`
	ID     [16]byte       `cbor:"3,keyasint"` // drawn for each drill
	Time   int64          `cbor:"4,keyasint"` // milliseconds since the Unix epoch
	Key    []byte         `cbor:"5,keyasint"` // the keeper's
	Sig    []byte         `cbor:"6,keyasint,omitempty"`
}

// The purposes keep a signature from being taken for one of another kind.
const (
	orderPurpose  = "redhen fire drill order"
	reportPurpose = "redhen fire drill report"
)

func (o Order) message() []byte {
	o.Sig = nil
	return wire.MustMarshal(o)
}

func (o *Order) sign(key ident.Key) {
	o.Key = key.Public()
	o.Sig = key.Sign(orderPurpose, o.message())
}

// Why an order is not obeyed.
var (
	errOrder = errors.New("not an order of a keeper of this circle")
	errStale = errors.New("the order is old, or the clocks differ")
	errOther = errors.New("the order is for another house")
)

// check says why a box does not obey the order, nil when it does.
func (o Order) check(r *roster.State, self ident.BoxID, now time.Time) error {
	me, _ := r.Box(self)
	age := now.Sub(time.UnixMilli(o.Time))
	switch {
	case o.Circle != r.Circle() || !isKeeper(r, o.Key) || !ident.Verify(o.Key, orderPurpose, o.message(), o.Sig):
		return errOrder
	case !r.Active(self) || me.House != o.House:
		return errOther
	case age.Abs() > fresh:
		return errStale
	}
	return nil
}

// isKeeper reports whether a key is that of a keeper of an active box.
func isKeeper(r *roster.State, key []byte) bool {
	for _, b := range r.Members() {
		if ed25519.PublicKey(key).Equal(b.KeeperKey) {
			return true
		}
	}
	return false
}

// Report is what came of a drill, signed by the keeper who began it.
type Report struct {
	Order  Order   `cbor:"1,keyasint"`
	House  string  `cbor:"2,keyasint"`
	Keeper string  `cbor:"3,keyasint"` // the name of who began it
	Began  int64   `cbor:"4,keyasint"` // milliseconds since the Unix epoch
	Ended  int64   `cbor:"5,keyasint"`
	Silent bool    `cbor:"6,keyasint,omitempty"` // the house was not in reach meanwhile
	Back   bool    `cbor:"7,keyasint,omitempty"` // and was again, by itself
	Proofs []Proof `cbor:"8,keyasint,omitempty"`
	Sig    []byte  `cbor:"9,keyasint,omitempty"`
}

// Proof is what one box of another house showed while the house was silent.
type Proof struct {
	Box    string `cbor:"1,keyasint"`
	House  string `cbor:"2,keyasint"`
	Login  bool   `cbor:"3,keyasint,omitempty"`
	Read   bool   `cbor:"4,keyasint,omitempty"`
	Write  bool   `cbor:"5,keyasint,omitempty"`
	Kept   int    `cbor:"6,keyasint,omitempty"` // houses that had what was written when it was answered
	Millis int64  `cbor:"7,keyasint,omitempty"` // that all of it took
	Why    string `cbor:"8,keyasint,omitempty"` // what did not work; for a helper, in any words
}

// Good reports whether the box showed everything.
func (p Proof) Good() bool { return p.Login && p.Read && p.Write }

// Good reports whether the house was silent and came back, and every other box
// showed that people carry on.
func (r Report) Good() bool {
	for _, p := range r.Proofs {
		if !p.Good() {
			return false
		}
	}
	return r.Silent && r.Back && len(r.Proofs) > 0
}

func (r Report) message() []byte {
	r.Sig = nil
	return wire.MustMarshal(r)
}

func (r *Report) sign(key ident.Key) { r.Sig = key.Sign(reportPurpose, r.message()) }

// maxReport bounds a report, in bytes.
const maxReport = 64 << 10

// DecodeReport reads a report and checks that it bears the signature of the keeper
// who ordered the drill. Whether that was one of this circle, its caller judges.
func DecodeReport(b []byte) (r Report, err error) {
	if len(b) > maxReport {
		return r, fmt.Errorf("report of %d bytes: %w", len(b), wire.ErrTooLarge)
	}
	if err := wire.Unmarshal(b, &r); err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	if !ident.Verify(r.Order.Key, reportPurpose, r.message(), r.Sig) || !ident.Verify(r.Order.Key, orderPurpose, r.Order.message(), r.Order.Sig) {
		return Report{}, fmt.Errorf("report: %w", errOrder)
	}
	return r, nil
}
