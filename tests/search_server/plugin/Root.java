package dashcam;

import java.util.List;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** `GET /`: which version this is, which clients ask before anything else. */
final class Root extends BaseRestHandler {
  @Override
  public String getName() {
    return "dashcam_root";
  }

  @Override
  public List<Route> routes() {
    return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
  }

  @Override
  protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
    return channel -> {
      Build build = Build.current();
      XContentBuilder answer = channel.newBuilder().startObject();
      answer.field("name", client.settings().get("node.name"));
      answer.field("cluster_name", client.settings().get("cluster.name"));
      answer.startObject("version");
      answer.field("number", build.qualifiedVersion());
      answer.field("build_flavor", build.flavor());
      answer.field("build_hash", build.hash());
      answer.field("build_date", build.date());
      answer.field("build_snapshot", build.isSnapshot());
      answer.endObject().field("tagline", "You Know, for Search").endObject();
      channel.sendResponse(new RestResponse(RestStatus.OK, answer));
    };
  }
}
