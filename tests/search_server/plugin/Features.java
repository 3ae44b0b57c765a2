package dashcam;

import java.util.Set;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.features.FeatureSpecification;
import org.elasticsearch.features.NodeFeature;

/** What the module `data-streams` says that its node can do: the server does it, but asks first. */
public final class Features implements FeatureSpecification {
  @Override
  public Set<NodeFeature> getFeatures() {
    return Set.of(DataStream.DATA_STREAM_FAILURE_STORE_FEATURE);
  }
}
