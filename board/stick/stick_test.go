package stick

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"redhen/board/disk"
)

func TestPartitions(t *testing.T) {
	got := partitions([]disk.Disk{
		{Name: "mmcblk0", Kind: disk.Card, Size: 1, Parts: []disk.Part{{Name: "mmcblk0p1"}}},
		{Name: "sda", Kind: disk.Stick, Size: 1, Parts: []disk.Part{{Name: "sda1"}, {Name: "sda2"}}},
		{Name: "sdb", Kind: disk.USB, Size: 1}, {Name: "sdc", Kind: disk.Stick},
	})
	if want := []string{"sda1", "sda2", "sdb"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// sys is a machine whose sticks come and go.
type sys struct {
	mu   sync.Mutex // guards files
	file fstest.MapFS
}

func (s *sys) Open(name string) (fs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.file).Open(name)
}

func (s *sys) set(files fstest.MapFS) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = files
}

func (s *sys) ReadLink(name string) (string, error) {
	return "../../devices/pci0/usb1/1-1/host0/target0/0:0:0:0/block/sda", nil
}

func (s *sys) Lstat(name string) (fs.FileInfo, error) { return fs.Stat(s, name) }

// A stick is shown once each time that it is plugged in, whatever is on it.
func TestEachStickIsShownOnce(t *testing.T) {
	plugged := fstest.MapFS{"sys/block/sda/size": {Data: []byte("1000\n")}, "sys/block/sda/removable": {Data: []byte("1\n")}}
	empty := fstest.MapFS{"sys/block": {Mode: fs.ModeDir}}
	synctest.Test(t, func(t *testing.T) {
		s := &sys{file: empty}
		var told []string
		broken := error(nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- Watch(ctx, Config{Root: s, Dir: "/nowhere",
				Mount: func(name string) error { told = append(told, "mount "+name); return broken },
				Take:  func(dir string) { told = append(told, "take "+dir) }})
		}()
		for _, files := range []fstest.MapFS{empty, plugged, plugged, empty} {
			s.set(files)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		broken = errors.New("no FAT")
		s.set(plugged)
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(told); got != "[mount sda take /nowhere mount sda]" {
			t.Error(got)
		}
	})
}
