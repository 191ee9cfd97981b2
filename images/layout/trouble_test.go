package layout

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestFaultsAreReadBack(t *testing.T) {
	faults := []Fault{{Code: CardFaulty}, {Code: NotMoved, Disk: "USB disk “Größe”", Why: "mount: no such\ndevice"}}
	root := fstest.MapFS{Trouble[1:]: {Data: FaultFile(faults)}}
	got, err := ReadFaults(root)
	if diff := cmp.Diff(faults, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := ReadFaults(fstest.MapFS{}); len(got) != 0 || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	long := FaultFile([]Fault{{Code: NotSetUp, Why: strings.Repeat("é", 100_000)}})
	if got, err := ReadFaults(fstest.MapFS{Trouble[1:]: {Data: long}}); len(got) != 1 || err != nil {
		t.Errorf("a long reason: %v, %v", got, err)
	}
}

func FuzzReadFaults(f *testing.F) {
	f.Add(FaultFile([]Fault{{Code: DiskFaulty, Disk: "USB disk"}}))
	f.Add([]byte("no fault\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := ReadFaults(fstest.MapFS{Trouble[1:]: {Data: b}})
		if len(list) > maxFaults {
			t.Fatalf("%d faults", len(list))
		}
		for _, x := range list {
			if x.Code == "" {
				t.Fatal("a fault without a code")
			}
		}
	})
}
