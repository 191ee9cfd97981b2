package raftnodetest

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyTheWallJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, by := range []int64{86400 * 40, -3600, 0} {
			before := jumped(time.Now(), 0)
			time.Sleep(time.Second + time.Nanosecond)
			now := time.Now()
			got := jumped(now, by)
			if got.Sub(before) != time.Second+1 || got.UnixNano()-now.UnixNano() != by*1e9 || got.Nanosecond() != 1 {
				t.Errorf("%d seconds: %v apart, %d on the wall", by, got.Sub(before), got.UnixNano()-now.UnixNano())
			}
			time.Sleep(time.Second - time.Nanosecond)
		}
	})
}
