package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
)

// Fault is something that the start of the system found wrong and that redhen runs with:
// facts, for redhen to say.
type Fault struct {
	Code FaultCode `json:"code"`
	Disk string    `json:"disk,omitempty"` // the data disk that it is about, as Order.Words
	Why  string    `json:"why,omitempty"`  // what the system says, for a helper
}

// FaultCode says what is wrong.
type FaultCode string

// What can be wrong.
const (
	CardFaulty  FaultCode = "card-faulty" // the file system of the card has had errors
	DiskFaulty  FaultCode = "disk-faulty" // that of the data disk
	NotMoved    FaultCode = "not-moved"   // the data stays on the card; Why
	NotSetUp    FaultCode = "not-set-up"  // the rest of the system; Why
	NoSettings  FaultCode = "no-settings" // the FAT cannot be read; Why
	maxFaults             = 20            // in the file
	maxFaultWhy           = 500           // bytes
)

// FaultFile returns what is to stand at Trouble: one fault a line.
func FaultFile(faults []Fault) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, f := range faults[:min(len(faults), maxFaults)] {
		f.Why = f.Why[:min(len(f.Why), maxFaultWhy)]
		_ = e.Encode(f) // a buffer takes everything
	}
	return b.Bytes()
}

// ReadFaults returns what the start of the system found wrong; none where it left no
// file. With an error, as much as could be read.
func ReadFaults(root fs.FS) (list []Fault, err error) {
	b, err := ReadSmall(root, Trouble[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(b) {
		var f Fault
		if bad := json.Unmarshal(line, &f); bad != nil {
			err = errors.Join(err, bad)
		} else if f.Code != "" && len(list) < maxFaults && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list, err
}
