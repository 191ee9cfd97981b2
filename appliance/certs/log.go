package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newZap has what certmagic logs told at a level below ours: it speaks to operators.
func newZap(log *slog.Logger) *zap.Logger { return zap.New(core{log: log}) }

type core struct {
	log    *slog.Logger
	fields []zapcore.Field
}

var _ zapcore.Core = core{}

func (c core) Enabled(l zapcore.Level) bool {
	return l > zapcore.DebugLevel && c.log.Enabled(context.Background(), slog.LevelDebug)
}

func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.log, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

func (c core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write tells the operator who asked for such things.
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(enc)
	}
	c.log.Debug("certificates", "says", e.Message, "of", enc.Fields)
	return nil
}

func (c core) Sync() error { return nil }
