package daemon

import (
	"context"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/kafka"
	"github.com/streamproc/streamproc/pipeline"
)

// rekey makes the step at the end of one part of a pipeline, or at the beginning of the next.
func (b *builder) rekey(st *config.Step) (pipeline.Step, error) {
	if st.Rekey.Key == "" {
		return pipeline.Restore{}, nil
	}
	path, err := b.path(st.Rekey.Key)
	if err != nil {
		return nil, err
	}
	return &pipeline.Rekey{Name: st.Name, Key: path.Key}, nil
}

// internal makes the topics between the parts of a pipeline that are not there yet.
func (b *builder) internal(ctx context.Context, cluster *kafka.Cluster) error {
	source := &b.cfg.Source
	if source.Internal {
		if err := kafka.MakeTopic(ctx, *cluster, source.Topics[0], source.Like, b.log); err != nil {
			return err
		}
	}
	after := source.Topics
	if source.Internal {
		after = source.Like
	}
	for _, s := range b.cfg.Sinks {
		if s.Internal {
			if err := kafka.MakeTopic(ctx, *cluster, s.Topic, after, b.log); err != nil {
				return err
			}
		}
	}
	return nil
}
